//! Labels by the names that a board file gives them.

use std::collections::BTreeMap;

use crate::change::read::pick;
use crate::host::error::Error;
use crate::host::failure::Failure;
use crate::host::similar::nearest;
use crate::model::Category;
use crate::model::board_file::{Marks, label_text};

/// The names of a plan's labels: as they will be, as the file gives them, and as they were when it
/// was pulled. So a name that was changed on either side still finds its label.
#[derive(Debug, Default)]
pub(crate) struct LabelNames {
    names: Vec<Vec<(Category, String)>>,
    base: Option<Marks>,
}

impl LabelNames {
    /// Returns the names as they are on the board.
    pub(crate) fn there(names: &BTreeMap<Category, String>) -> Self {
        Self { names: vec![named(names)], base: None }
    }

    /// Returns the names as a file uses them, given the base of its plan.
    pub(crate) fn meant(
        wanted: &BTreeMap<Category, String>,
        file: &BTreeMap<Category, String>,
        base: Option<&Marks>,
    ) -> Self {
        Self { names: vec![named(wanted), named(file)], base: base.cloned() }
    }

    /// Returns the name to write in a file, `category7` where the name is not unique.
    pub(crate) fn name_of(&self, slot: Category) -> String {
        let names = self.names.first().map(Vec::as_slice).unwrap_or_default();
        let name = names.iter().find(|pair| pair.0 == slot).map(|pair| pair.1.as_str());
        let unique = |name: &&str| {
            names.iter().filter(|pair| pair.1.eq_ignore_ascii_case(name)).count() == 1
                && Category::parse(name).is_none()
        };
        name.filter(unique).map_or_else(|| slot.to_string(), str::to_owned)
    }

    /// Returns the label that a file refers to.
    ///
    /// # Errors
    /// None or several have that name.
    pub(crate) fn find(&self, text: &str) -> Result<Category, Failure> {
        if let Some(slot) = Category::parse(text) {
            return Ok(slot);
        }
        for names in &self.names {
            let names: Vec<_> = names.iter().collect();
            match pick(&names, text, |(_, name): &(Category, String)| name).as_slice() {
                [(slot, _)] => return Ok(*slot),
                [] => {}
                several => {
                    return Err(Failure::from(Error::Ambiguous {
                        what: "label",
                        name: text.to_owned(),
                        candidates: several.iter().map(|pair| pair.0.to_string()).collect(),
                    }));
                }
            }
        }
        let had = |slot: &Category| {
            let text = label_text(*slot, text);
            self.base.as_ref().is_some_and(|base| base.has("label", &text))
        };
        if let Some(slot) = Category::all().find(had) {
            return Ok(slot);
        }
        let names = self.names.iter().flatten().map(|pair| pair.1.as_str());
        let near = nearest(text, names);
        let hint = match near.first() {
            Some(name) => format!("did you mean `{name}`? To add a label, name it under `labels`"),
            None => "name it under `labels`, such as `category7: Legal`".to_owned(),
        };
        Err(Failure {
            code: "not_found".into(),
            message: format!("the plan has no label `{text}`"),
            hint: Some(hint),
            ..Failure::default()
        })
    }
}

fn named(names: &BTreeMap<Category, String>) -> Vec<(Category, String)> {
    let named = names.iter().filter(|(_, name)| !name.is_empty());
    named.map(|(slot, name)| (*slot, name.clone())).collect()
}
