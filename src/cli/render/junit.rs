//! The report of tests as JUnit XML, the form that build servers read.

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
    for test in played {
        suites.entry(&test.file).or_default().push(test);
    }
    writer.create_element("testsuites").write_inner_content(|writer| {
        for (file, tests) in suites {
            let n_failed = tests.iter().filter(|test| !test.passed).count().to_string();
            let n = tests.len().to_string();
            writer
                .create_element("testsuite")
                .with_attributes([
                    ("name", file),
                    ("tests", n.as_str()),
                    ("failures", n_failed.as_str()),
                ])
                .write_inner_content(|writer| {
                    tests.into_iter().try_for_each(|test| case(writer, test))
                })?;
        }
        Ok(())
    })?;
    Ok(())
}

fn case(writer: &mut Writer<Vec<u8>>, test: &Played) -> std::io::Result<()> {
    let time = format!("{:.3}", test.duration.as_secs_f64());
    let name = test.test.as_deref().unwrap_or("(the file)");
    let element = writer.create_element("testcase").with_attributes([
        ("name", name),
        ("classname", test.file.as_str()),
        ("time", time.as_str()),
    ]);
    let Some(error) = &test.error else {
        element.write_empty()?;
        return Ok(());
    };
    // XML allows no control characters, not even escaped ones.
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
