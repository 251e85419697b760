//! The shape of the source tree: who imports whom, how full a folder is, and the language of comments.
//! Measured on every run of the tests, and printed by `just measures`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::tidy::sources;

/// The most files that may import each other in a circle.
const MAX_CIRCLE: usize = 4;
/// The most files side by side in a folder.
const MAX_FILES: usize = 20;
/// The documents that comments may cite.
const DOCUMENTS: [&str; 2] = ["design.md", "planner-api.md"];
/// Openings of doc comments that tell of a thing instead of naming it.
const OPENINGS: [&str; 7] = ["What ", "Who ", "Whether ", "How ", "Where ", "When ", "Tells "];

/// A file of the library, by its module path below the crate: `host::run::commit`.
struct File {
    path: PathBuf,
    /// Its text without comments and without its tests.
    code: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn modules() -> BTreeMap<String, File> {
    let (src, mut paths) = (root().join("src"), Vec::new());
    sources(&src, &mut paths);
    let module = |path: PathBuf| {
        let name = path.strip_prefix(&src).unwrap().with_extension("");
        let name = name.to_str().unwrap().replace(['/', '\\'], "::");
        // Tests may look at everything.
        let is_test = name.split("::").any(|part| part == "tests");
        let text = fs::read_to_string(&path).unwrap();
        let code = without_tests(&text);
        (!is_test).then_some((name, File { path, code, text }))
    };
    paths.into_iter().filter_map(module).collect()
}

/// Leaves out comments, the test module, and functions that only tests have.
fn without_tests(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let mut code = String::new();
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    while let Some(line) = lines.next() {
        if line == "    #[cfg(test)]" {
            lines.by_ref().find(|line| *line == "    }");
            continue;
        }
        writeln!(code, "{line}").unwrap();
    }
    code
}

/// Returns the paths that a `use` tree names, from behind `crate::`.
fn leaves(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree).trim();
        return vec![path.trim_end_matches("::self").to_owned()];
    };
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut part, mut parts) = (0, String::new(), Vec::new());
    for ch in inner.chars() {
        depth += i32::from(ch == '{') - i32::from(ch == '}');
        if ch == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(ch);
        }
    }
    parts.push(part);
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| leaves(&format!("{head}{}", part.trim()))).collect()
}

/// Returns the paths that a module names, from behind `crate::`.
fn named(module: &str, code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for statement in code.split(';') {
        let lines: Vec<&str> = statement.lines().collect();
        let Some(first) = lines.iter().position(|line| is_use(line)) else { continue };
        let tree = lines[first..].join(" ");
        let tree = tree.split_once("use ").map(|(_, tree)| tree.trim()).unwrap_or_default();
        let own = |path: String| format!("{module}::{path}");
        for path in leaves(tree) {
            found.insert(match path.strip_prefix("crate::") {
                Some(path) => path.to_owned(),
                None => own(path),
            });
        }
    }
    let in_bodies = code.split("crate::").skip(1).map(|tail| {
        let is_path = |ch: char| ch.is_alphanumeric() || ch == '_' || ch == ':';
        tail.chars().take_while(|ch| is_path(*ch)).collect::<String>()
    });
    // The head of a `use` tree is none, nor is `pub(in crate::host)`.
    found.extend(in_bodies.filter(|path| !path.ends_with("::")));
    found
}

fn is_use(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("use ")
        || (line.starts_with("pub") && line.contains(") use "))
        || line.starts_with("pub use ")
}

/// Returns the module in which a path ends: the longest beginning that is a file.
fn home<'a>(modules: &'a BTreeMap<String, File>, path: &str) -> Option<&'a str> {
    let parts: Vec<&str> = path.split("::").collect();
    (1..=parts.len()).rev().find_map(|n| {
        let found = modules.get_key_value(&parts[..n].join("::"));
        found.map(|(name, _)| name.as_str())
    })
}

type Graph = BTreeMap<String, BTreeSet<String>>;

fn imports(modules: &BTreeMap<String, File>) -> Graph {
    let of = |(name, file): (&String, &File)| {
        let restricted = file.code.replace("pub(in crate::", "pub(in ");
        let paths = named(name, &restricted);
        let homes = paths.iter().filter_map(|path| home(modules, path));
        (name.clone(), homes.filter(|other| other != name).map(str::to_owned).collect())
    };
    modules.iter().map(of).collect()
}

/// Returns the groups of nodes that all reach each other.
fn circles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reach = |from: &String| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(node) = open.pop() {
            for next in graph.get(&node).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        graph.keys().map(|node| (node, reach(node))).collect();
    let mut found = BTreeSet::new();
    for (node, all) in &reached {
        if all.contains(*node) {
            let back = |other: &&String| reached.get(other).is_some_and(|all| all.contains(*node));
            found.insert(all.iter().filter(back).cloned().collect::<BTreeSet<String>>());
        }
    }
    found.into_iter().collect()
}

/// Returns the folder that a module lies in or is the face of.
fn folder(modules: &BTreeMap<String, File>, module: &str) -> String {
    let is_face = modules.keys().any(|other| other.starts_with(&format!("{module}::")));
    let above = module.rsplit_once("::").map(|(above, _)| above).unwrap_or_default();
    if is_face { module.to_owned() } else { above.to_owned() }
}

/// Returns the circles between folders that lie side by side.
fn folder_circles(modules: &BTreeMap<String, File>, imports: &Graph) -> Vec<BTreeSet<String>> {
    let mut beside: BTreeMap<String, Graph> = BTreeMap::new();
    for (from, others) in imports {
        for to in others {
            let (a, b) = (folder(modules, from), folder(modules, to));
            let (a, b): (Vec<&str>, Vec<&str>) = (a.split("::").collect(), b.split("::").collect());
            let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            if same < a.len() && same < b.len() && !a[same].is_empty() && !b[same].is_empty() {
                let (from, to) = (a[..=same].join("::"), b[..=same].join("::"));
                let graph = beside.entry(a[..same].join("::")).or_default();
                graph.entry(to.clone()).or_default();
                graph.entry(from).or_default().insert(to);
            }
        }
    }
    beside.values().flat_map(circles).collect()
}

#[test]
fn files_and_folders_import_each_other_in_one_direction() {
    let modules = modules();
    let imports = imports(&modules);
    assert!(imports["host::run"].contains("host::session::core"), "no imports are found");
    let large: Vec<_> =
        circles(&imports).into_iter().filter(|circle| circle.len() > MAX_CIRCLE).collect();
    assert!(large.is_empty(), "circles of more than {MAX_CIRCLE} files: {large:#?}");
    let folders = folder_circles(&modules, &imports);
    assert!(folders.is_empty(), "circles between folders: {folders:#?}");
}

#[test]
fn a_circle_is_found() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*to).to_owned()).or_default();
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    };
    assert!(circles(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    let found = circles(&graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]));
    assert_eq!(found, [["a", "b", "c"].map(str::to_owned).into()]);
    let trees = leaves("crate::a::{self, B, c::{D, e as f}}");
    assert_eq!(trees, ["crate::a", "crate::a::B", "crate::a::c::D", "crate::a::c::e"]);
}

#[test]
fn no_folder_is_too_full() {
    let mut full: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for file in modules().into_values() {
        *full.entry(file.path.parent().unwrap().to_owned()).or_default() += 1;
    }
    full.retain(|_, n| *n > MAX_FILES);
    assert!(full.is_empty(), "more than {MAX_FILES} files side by side: {full:?}");
}

/// The face of a folder is for outsiders: whoever imports a sibling through it depends on everything
/// that the face shows.
#[test]
fn siblings_are_imported_by_file() {
    let modules = modules();
    let mut wrong = Vec::new();
    for (face, file) in &modules {
        let mut shown = BTreeSet::new();
        for statement in file.code.split(';').map(str::trim).filter(|text| text.starts_with("pub"))
        {
            let Some((_, tree)) = statement.split_once(" use ") else { continue };
            let names = leaves(tree).into_iter().filter(|path| !path.starts_with("crate::"));
            shown.extend(names.filter_map(|path| path.rsplit("::").next().map(str::to_owned)));
        }
        let inside = format!("{face}::");
        for (module, other) in modules.iter().filter(|(module, _)| module.starts_with(&inside)) {
            for path in named(module, &other.code) {
                let name = path.strip_prefix(&inside).unwrap_or_default();
                if shown.contains(name) {
                    wrong.push(format!("{module} imports `{name}` through `{face}`"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_map_shows_every_folder_and_names_what_exists() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut folders = BTreeSet::new();
    for file in modules().into_values() {
        let path = file.path.strip_prefix(root().join("src")).unwrap().to_owned();
        folders.insert(path.parent().unwrap().to_str().unwrap().replace('\\', "/"));
    }
    folders.remove("");
    let missing: Vec<_> =
        folders.iter().filter(|folder| !map.contains(&format!("`{folder}/`"))).collect();
    assert!(missing.is_empty(), "not in ARCHITECTURE.md's map: {missing:?}");
    let quoted = map.split('`').skip(1).step_by(2);
    let paths = quoted.filter(|text| text.ends_with(".rs") || text.ends_with('/'));
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let exists = |path: &str| {
        let named = |source: &PathBuf| source.ends_with(path);
        root().join(path).exists()
            || root().join("src").join(path).exists()
            || (!path.contains('/') && files.iter().any(named))
    };
    let gone: Vec<&str> = paths.filter(|path| !path.contains('*') && !exists(path)).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names what does not exist: {gone:?}");
}

/// Returns the comment of a line, without its marks.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line.strip_prefix("//")?;
    Some(text.trim_start_matches(['/', '!']).trim())
}

#[test]
fn comments_cite_what_is_in_the_repository() {
    let mut wrong = Vec::new();
    for (module, file) in modules() {
        for line in file.text.lines().filter_map(comment) {
            let cited = line.split([' ', '(', ')', ',', ';', '`']).filter(|word| {
                let name = word.trim_end_matches(['.', ':']);
                name.ends_with(".md") && !name.contains('/')
            });
            for document in cited.map(|word| word.trim_end_matches(['.', ':'])) {
                let here = root().join(document).exists() || DOCUMENTS.contains(&document);
                if !here {
                    wrong.push(format!("{module}: {document} is not in the repository"));
                }
            }
            if line.split("section ").skip(1).any(|tail| tail.starts_with(char::is_numeric)) {
                wrong.push(format!("{module}: a section without its document: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for document in DOCUMENTS {
        assert!(root().join("docs").join(document).exists(), "docs/{document}");
    }
}

/// The measures of the tree, each with its limit.
#[test]
fn the_language_of_comments_keeps_its_measures() {
    let (mut docs, mut openings, mut closures, mut its) =
        (0_usize, Vec::new(), 0_usize, Vec::new());
    let (mut lines, mut comments) = (0_usize, 0_usize);
    for (module, file) in modules() {
        let mut before = "";
        for line in file.text.lines().map(str::trim) {
            if let Some(doc) = line.strip_prefix("///").map(str::trim_start) {
                let is_first = !before.starts_with("///");
                docs += usize::from(is_first);
                if is_first && OPENINGS.iter().any(|opening| doc.starts_with(opening)) {
                    openings.push(format!("{module}: {doc}"));
                }
            } else if line.starts_with("//") && !line.starts_with("//!") {
                comments += 1;
            } else if !line.is_empty() && !line.starts_with("//") {
                lines += 1;
            }
            before = line;
        }
        let parts: Vec<&str> = file.code.split('|').collect();
        for pair in parts.windows(3).step_by(1) {
            let is_opening = pair[0].trim_end().ends_with(['(', ',', '=', '{', '>'])
                || pair[0].ends_with("move ");
            if is_opening && !pair[1].contains([';', '{', '"']) && !pair[1].is_empty() {
                closures += 1;
                if pair[1].split([',', ':', '(', ')', '&', ' ']).any(|word| word == "it") {
                    its.push(module.clone());
                }
            }
        }
    }
    println!(
        "doc comments {docs}, of which {} tell instead of naming; closures {closures}, of which {} take `it`; {comments} comments in {lines} lines of code",
        openings.len(),
        its.len()
    );
    assert!(docs > 1000 && closures > 1000, "nothing is measured: {docs}, {closures}");
    assert!(openings.len() * 50 <= docs, "more than 2 %: {openings:#?}");
    assert!(its.len() * 10 <= closures, "more than 10 %: {its:?}");
}
