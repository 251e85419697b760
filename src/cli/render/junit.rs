//! A report of tests in the form that build servers read (JUnit's XML).

use std::collections::BTreeMap;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::cli::render::tests_played::Played;
use crate::cli::render::text::visible;

/// Writes the report.
pub(crate) fn write(played: &[Played]) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Writing to memory does not fail.
    let _infallible = document(&mut writer, played);
    String::from_utf8(writer.into_inner()).unwrap_or_default() + "\n"
}

fn document(writer: &mut Writer<Vec<u8>>, played: &[Played]) -> std::io::Result<()> {
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut suites: BTreeMap<&str, Vec<&Played>> = BTreeMap::new();
    for it in played {
        suites.entry(&it.file).or_default().push(it);
    }
    writer.create_element("testsuites").write_inner_content(|writer| {
        for (file, tests) in suites {
            let n_failed = tests.iter().filter(|it| !it.passed).count().to_string();
            let n = tests.len().to_string();
            writer
                .create_element("testsuite")
                .with_attributes([
                    ("name", file),
                    ("tests", n.as_str()),
                    ("failures", n_failed.as_str()),
                ])
                .write_inner_content(|writer| {
                    tests.into_iter().try_for_each(|it| case(writer, it))
                })?;
        }
        Ok(())
    })?;
    Ok(())
}

fn case(writer: &mut Writer<Vec<u8>>, it: &Played) -> std::io::Result<()> {
    let time = format!("{:.3}", it.duration.as_secs_f64());
    let name = it.test.as_deref().unwrap_or("(the file)");
    let element = writer.create_element("testcase").with_attributes([
        ("name", name),
        ("classname", it.file.as_str()),
        ("time", time.as_str()),
    ]);
    let Some(error) = &it.error else {
        element.write_empty()?;
        return Ok(());
    };
    // No control character may stand in XML, escaped or not.
    let place = error.at.as_ref().map(|at| format!("{}:{}: ", at.file, at.line));
    let lines: Vec<String> = error.message.lines().map(visible).collect();
    let text = format!("{}{}", place.unwrap_or_default(), lines.join("\n"));
    let first = lines.first().cloned().unwrap_or_default();
    element.write_inner_content(|writer| {
        writer
            .create_element("failure")
            .with_attribute(("message", first.as_str()))
            .write_text_content(BytesText::new(&text))?;
        Ok(())
    })?;
    Ok(())
}
