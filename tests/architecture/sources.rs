//! The source files of the program, parsed, and the `use` arrows between them.
//!
//! Knows Rust's modules and paths, not this project's layers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// Where a path leads, written from the crate's root: `["cloud", "http", "guard"]`.
pub(crate) type ModulePath = Vec<String>;

/// One file of `src`.
pub(crate) struct SourceFile {
    /// Where it is, from `src` on: `cloud/http/guard.rs`.
    pub(crate) name: String,
    /// The module that it holds.
    pub(crate) module: ModulePath,
    /// Its text.
    pub(crate) text: String,
    /// Every path that its code names, from the crate's root, as far as it can be seen that it leads into this crate.
    /// Code that is only compiled for tests is left out.
    pub(crate) paths: BTreeSet<ModulePath>,
    /// Crates that its code names, and modules of its own: the first segments of all other paths.
    pub(crate) crates: BTreeSet<String>,
    /// Names that it passes on with `pub use`, and where they come from.
    reexports: BTreeMap<String, ModulePath>,
}

/// All files of `src`, in the order of their names.
pub(crate) struct Sources {
    pub(crate) files: Vec<SourceFile>,
}

impl Sources {
    /// Reads the sources of this package.
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut paths = Vec::new();
        find_rust_files(&root, &mut paths);
        paths.sort();
        let texts = paths.into_iter().map(|path| {
            let name = path.strip_prefix(&root).expect("a file of src").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a text file"))
        });
        Self::parse(texts)
    }

    /// Parses files, given by their names from `src` on.
    pub(crate) fn parse(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let texts: Vec<_> = texts.into_iter().collect();
        let modules: BTreeSet<ModulePath> = texts.iter().map(|(name, _)| module_of(name)).collect();
        let files = texts.into_iter().map(|(name, text)| SourceFile::parse(name, text, &modules));
        Self { files: files.collect() }
    }

    /// From each file to those whose items it names. A parent that declares a module or passes its items on with
    /// `pub use` does not depend on it by that: that is the table of contents, not a use.
    pub(crate) fn arrows(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for file in &self.files {
            let targets = file.paths.iter().filter_map(|path| self.defining_file(path));
            let others = targets.filter(|target| target.name != file.name).map(|target| target.name.as_str());
            arrows.insert(&file.name, others.collect());
        }
        arrows
    }

    /// The file in which the item at this path is defined.
    fn defining_file(&self, path: &ModulePath) -> Option<&SourceFile> {
        let mut path = path.clone();
        // A name is passed on a few times at most; a chain that does not end is none of ours.
        for _ in 0..8 {
            let file = self.files.iter().filter(|file| path.starts_with(&file.module));
            let file = file.max_by_key(|file| file.module.len())?;
            let source = path.get(file.module.len()).and_then(|item| file.reexports.get(item));
            let Some(source) = source else {
                // The crate's root only lists modules.
                return (!file.module.is_empty()).then_some(file);
            };
            path = source.iter().chain(&path[file.module.len() + 1..]).cloned().collect();
        }
        None
    }
}

impl SourceFile {
    fn parse(name: String, text: String, modules: &BTreeSet<ModulePath>) -> Self {
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{name} does not parse: {error}"));
        let module = module_of(&name);
        let mut reader = Reader {
            here: module.clone(),
            modules,
            paths: BTreeSet::new(),
            crates: BTreeSet::new(),
            reexports: BTreeMap::new(),
        };
        reader.visit_file(&syntax);
        let Reader { paths, crates, reexports, .. } = reader;
        Self { name, module, text, paths, crates, reexports }
    }
}

/// Finds the files that are not compiled for tests alone: neither they nor a folder above them has a name that ends in
/// `tests`.
fn find_rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of src") {
        let path = entry.expect("an entry of src").path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if stem.ends_with("tests") {
            continue;
        }
        if path.is_dir() {
            find_rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `cloud/http/mod.rs` and `cloud/http.rs` both hold the module `cloud::http`; `lib.rs` and `main.rs` hold the root.
fn module_of(name: &str) -> ModulePath {
    let path = name.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').filter(|part| !matches!(*part, "lib" | "main" | "mod")).map(str::to_owned).collect()
}

/// Collects what one file names.
struct Reader<'a> {
    here: ModulePath,
    modules: &'a BTreeSet<ModulePath>,
    paths: BTreeSet<ModulePath>,
    crates: BTreeSet<String>,
    reexports: BTreeMap<String, ModulePath>,
}

impl Reader<'_> {
    /// Takes note of a path as the code writes it, and returns it from the crate's root if it leads into this crate.
    fn note(&mut self, written: &[String]) -> Option<ModulePath> {
        let absolute = self.absolute(written);
        match &absolute {
            Some(path) => drop(self.paths.insert(path.clone())),
            None => self.crates.extend(written.first().cloned()),
        }
        absolute
    }

    fn absolute(&self, written: &[String]) -> Option<ModulePath> {
        let supers = written.iter().take_while(|segment| *segment == "super").count();
        let (start, rest) = match written.first()?.as_str() {
            "crate" => (&[][..], &written[1..]),
            "self" => (&self.here[..], &written[1..]),
            "super" => (&self.here[..self.here.len().checked_sub(supers)?], &written[supers..]),
            child => {
                let is_module = self.modules.contains(&[&self.here[..], &[child.to_owned()]].concat());
                is_module.then_some((&self.here[..], written))?
            }
        };
        Some([start, rest].concat())
    }

    /// The paths of a `use`, each with the name that it brings into scope.
    fn expand(tree: &UseTree, before: &[String], found: &mut Vec<(Vec<String>, String)>) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => Self::expand(&path.tree, &with(path.ident.to_string()), found),
            UseTree::Name(name) if name.ident == "self" => {
                found.push((before.to_vec(), before.last().cloned().unwrap_or_default()));
            }
            UseTree::Name(name) => found.push((with(name.ident.to_string()), name.ident.to_string())),
            UseTree::Rename(rename) => {
                found.push((with(rename.ident.to_string()), rename.rename.to_string()));
            }
            UseTree::Glob(_) => found.push((before.to_vec(), "*".to_owned())),
            UseTree::Group(group) => group.items.iter().for_each(|item| Self::expand(item, before, found)),
        }
    }

    /// Paths inside a macro's arguments, which are not parsed: those that begin with `crate` or `super`.
    fn note_tokens(&mut self, tokens: &str) {
        let words: Vec<&str> = tokens.split_whitespace().collect();
        let mut index = 0;
        while index < words.len() {
            let mut path = Vec::new();
            if matches!(words[index], "crate" | "super") {
                path.push(words[index].to_owned());
                while words.get(index + 1) == Some(&"::") && words.get(index + 2).is_some() {
                    path.push(words[index + 2].to_owned());
                    index += 2;
                }
            }
            if path.len() > 1 {
                self.note(&path);
            }
            index += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let for_tests = matches!(item, syn::ImplItem::Fn(function) if is_for_tests(&function.attrs));
        if !for_tests {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.content.is_some() {
            self.here.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.here.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut found = Vec::new();
        Self::expand(&item.tree, &[], &mut found);
        for (written, name) in found {
            let passed_on = self.absolute(&written).filter(|_| !matches!(item.vis, Visibility::Inherited));
            if let Some(path) = &passed_on {
                self.reexports.insert(name, path.clone());
            }
            if passed_on.is_none_or(|path| !path.starts_with(&self.here)) {
                self.note(&written);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let written: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.note(&written);
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {
        // `pub(super)` names a module and uses nothing of it.
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.note_tokens(&call.tokens.to_string());
        visit::visit_macro(self, call);
    }
}

/// Whether these attributes hold `#[cfg(test)]`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|argument| argument.is_ident("test"))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
