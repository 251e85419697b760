//! Texts as people read them: what looks the same is the same.
//!
//! A second task of the same title is a duplicate to whoever reads the board, even if it is spelled
//! with a zero-width space, with look-alike letters of another alphabet, or with an accent composed
//! of two characters. The tables are those of Unicode, in crates that follow it.

use icu_casemap::CaseMapper;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::skeleton;

/// Returns a form that is equal for all texts that people read as the same: without invisible
/// characters, and regardless of case, spacing and the alphabet of look-alike letters. It is for
/// comparing, not for showing.
#[must_use]
pub fn as_read(text: &str) -> String {
    // Invisible characters go first, or they would keep a letter and its accent apart. They go
    // again after NFKC, which produces some.
    let spaced = text.chars().map(|letter| if is_filler(letter) { ' ' } else { letter });
    let visible: String = spaced.filter(|letter| is_visible(*letter)).collect();
    let plain: String = visible.nfkc().filter(|letter| is_visible(*letter)).map(capital).collect();
    // A small letter may have a look-alike that its capital does not have, so case is folded before
    // and after look-alikes are replaced.
    let folded = CaseMapper::new().fold_string(&plain);
    let alike: String = skeleton(&folded).collect();
    let folded = CaseMapper::new().fold_string(&alike);
    // A capital I looks like a small l, but case is folded before: so both are the same letter here.
    let folded = folded.replace('l', "i");
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns whether a letter is a Hangul filler: invisible, but as wide as a letter.
const fn is_filler(letter: char) -> bool {
    matches!(letter, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

fn is_visible(letter: char) -> bool {
    if letter.is_ascii() {
        return !letter.is_ascii_control() || letter.is_ascii_whitespace();
    }
    let is_control = || {
        let category = CodePointMapData::<GeneralCategory>::new().get(letter);
        GeneralCategoryGroup::Control.union(GeneralCategoryGroup::Format).contains(category)
    };
    let is_ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter);
    // Unicode counts the control character NEL (U+0085) as white space; pages show nothing of it.
    let is_space = letter.is_whitespace() && letter != '\u{85}';
    is_space || !(is_ignorable || is_control())
}

/// Replaces a capital of another alphabet by the Latin one that it looks like: the Cyrillic В looks
/// like a B, but its small letter does not look like a b.
fn capital(letter: char) -> char {
    if letter.is_ascii() || !letter.is_uppercase() {
        return letter;
    }
    let mut buffer = [0; 4];
    let mut alike = skeleton(letter.encode_utf8(&mut buffer));
    match (alike.next(), alike.next()) {
        // The tables take the capital I for a small l, which it also looks like.
        (Some('l'), None) => 'I',
        (Some(latin), None) if latin.is_ascii_alphabetic() => latin,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_is_the_same() {
        let title = as_read("Print the 10 brochures for Besançon");
        for same in [
            "print THE 10  brochures\tfor besançon ",
            "Print the 10 bro\u{200b}chures for Besançon",
            "\u{feff}Print\u{a0}the 10 brochures\u{2003}for Besanc\u{327}on",
            "Print the 10 brochures for Besanc\u{200d}\u{327}on",
            "Рrіnt the 10 brоchures for Besançon",
            "РRІNТ ТНЕ 10 ВRОСНURЕS FОR ВЕSАNÇОN",
            "ΡRΙNΤ the 10 brochures for Besançon",
            "Prin\u{ad}t the 10 bro\u{2060}chures\u{fe0f} for Besançon\u{e0041}",
            "Ｐｒｉｎｔ ｔｈｅ １０ ｂｒｏｃｈｕｒｅｓ ｆｏｒ Besançon",
            "𝐏𝐫𝐢𝐧𝐭 the 10 𝑏𝑟𝑜𝑐ℎ𝑢𝑟𝑒𝑠 for Besançon",
            "Print the l0 brochures for Besançon",
            "Print the 1O brochures for Besançon",
            "Pri\u{85}nt the 10 brochures for Besançon",
            "Print\u{202e} the 10 brochures\u{7}\u{3164} for Besançon",
        ] {
            assert_eq!(as_read(same), title, "{same:?}");
        }
        assert_eq!(as_read("Renew the Iiability"), as_read("Renew the liability"));
        assert_eq!(as_read("Order\u{3164}toner"), as_read("Order toner"));
        assert_eq!(as_read("Straße"), as_read("STRASSE"));
        assert_eq!(as_read("ΟΔΟΣ"), as_read("οδος"));
        assert_eq!(as_read(" \u{200b}\u{3164} "), "");
    }

    #[test]
    fn what_looks_otherwise_is_another() {
        let titles = [
            "Print the brochure",
            "Print the brochures",
            "Print the brochure.",
            "Print the brochüre",
            "Prints the brochure",
            "Call Ana",
            "Call Anna",
            "Schon da",
            "Schön da",
            "List",
            "Lost",
            "Отчёт",
            "Отчет за май",
            "報告書",
            "报告书",
            "✓",
            "",
        ];
        for (at, one) in titles.iter().enumerate() {
            for other in &titles[..at] {
                assert_ne!(as_read(one), as_read(other), "{one} {other}");
            }
        }
    }
}
