//! The workspace inside the program: every file of `scripts/` but its tests.

/// Path below `scripts/`, and text.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("lib/markdown.rhai", include_str!("../../scripts/lib/markdown.rhai")),
    ("policies/agent_rules.rhai", include_str!("../../scripts/policies/agent_rules.rhai")),
    (
        "skills/capture_action_item.rhai",
        include_str!("../../scripts/skills/capture_action_item.rhai"),
    ),
    ("skills/morning_triage.rhai", include_str!("../../scripts/skills/morning_triage.rhai")),
    ("skills/weekly_report.rhai", include_str!("../../scripts/skills/weekly_report.rhai")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_script_of_the_folder_is_in_the_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
        for folder in ["lib", "policies", "skills"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let path = format!("{folder}/{name}");
                assert!(FILES.iter().any(|(it, _)| *it == path), "{path} is not listed");
            }
        }
    }
}
