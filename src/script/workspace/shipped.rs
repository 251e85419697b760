//! The workspace inside the program: every file of `scripts/`, its tests too.

/// Path below `scripts/`, and text.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("lib/dates.rhai", include_str!("../../../scripts/lib/dates.rhai")),
    ("lib/markdown.rhai", include_str!("../../../scripts/lib/markdown.rhai")),
    ("lib/people.rhai", include_str!("../../../scripts/lib/people.rhai")),
    ("lib/pick.rhai", include_str!("../../../scripts/lib/pick.rhai")),
    ("policies/agent_rules.rhai", include_str!("../../../scripts/policies/agent_rules.rhai")),
    (
        "policies/approval_for_deletes.rhai",
        include_str!("../../../scripts/policies/approval_for_deletes.rhai"),
    ),
    ("policies/office_hours.rhai", include_str!("../../../scripts/policies/office_hours.rhai")),
    ("policies/protect_done.rhai", include_str!("../../../scripts/policies/protect_done.rhai")),
    (
        "skills/capture_action_item.rhai",
        include_str!("../../../scripts/skills/capture_action_item.rhai"),
    ),
    ("skills/close_the_week.rhai", include_str!("../../../scripts/skills/close_the_week.rhai")),
    ("skills/import_trello.rhai", include_str!("../../../scripts/skills/import_trello.rhai")),
    ("skills/morning_triage.rhai", include_str!("../../../scripts/skills/morning_triage.rhai")),
    (
        "skills/overdue_escalation.rhai",
        include_str!("../../../scripts/skills/overdue_escalation.rhai"),
    ),
    (
        "skills/plan_from_template.rhai",
        include_str!("../../../scripts/skills/plan_from_template.rhai"),
    ),
    ("skills/progress_sync.rhai", include_str!("../../../scripts/skills/progress_sync.rhai")),
    ("skills/standup_digest.rhai", include_str!("../../../scripts/skills/standup_digest.rhai")),
    ("skills/weekly_report.rhai", include_str!("../../../scripts/skills/weekly_report.rhai")),
    ("tests/agent_rules.rhai", include_str!("../../../scripts/tests/agent_rules.rhai")),
    (
        "tests/approval_for_deletes.rhai",
        include_str!("../../../scripts/tests/approval_for_deletes.rhai"),
    ),
    (
        "tests/capture_action_item.rhai",
        include_str!("../../../scripts/tests/capture_action_item.rhai"),
    ),
    ("tests/close_the_week.rhai", include_str!("../../../scripts/tests/close_the_week.rhai")),
    ("tests/import_trello.rhai", include_str!("../../../scripts/tests/import_trello.rhai")),
    ("tests/morning_triage.rhai", include_str!("../../../scripts/tests/morning_triage.rhai")),
    ("tests/office_hours.rhai", include_str!("../../../scripts/tests/office_hours.rhai")),
    (
        "tests/overdue_escalation.rhai",
        include_str!("../../../scripts/tests/overdue_escalation.rhai"),
    ),
    (
        "tests/plan_from_template.rhai",
        include_str!("../../../scripts/tests/plan_from_template.rhai"),
    ),
    ("tests/progress_sync.rhai", include_str!("../../../scripts/tests/progress_sync.rhai")),
    ("tests/protect_done.rhai", include_str!("../../../scripts/tests/protect_done.rhai")),
    ("tests/standup_digest.rhai", include_str!("../../../scripts/tests/standup_digest.rhai")),
    ("tests/weekly_report.rhai", include_str!("../../../scripts/tests/weekly_report.rhai")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_script_of_the_folder_is_in_the_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
        for folder in ["lib", "policies", "skills", "tests"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let path = format!("{folder}/{name}");
                assert!(FILES.iter().any(|(listed, _)| *listed == path), "{path} is not listed");
            }
        }
    }
}
