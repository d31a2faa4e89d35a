//! No circles between files: at every level of the source's tree, what lies side by side imports in one direction only.
//!
//! In: the source of every crate. Out: a failure that names the files of each circle. A folder's `mod.rs` may name its
//! own children, and children may use what `mod.rs` itself defines; what it only passes on belongs to the child it is
//! from.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

/// `["rules", "guard"]`; empty for a crate's `lib.rs`.
type ModulePath = Vec<String>;

/// The modules of one crate.
#[derive(Default)]
struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

struct Module {
    file: PathBuf,
    /// Every path that stands in it, outside its tests.
    paths: Vec<Vec<String>>,
    /// What a name in it stands for, where a `use` gave it that meaning.
    names: BTreeMap<String, Vec<String>>,
}

/// Collects a file's paths from its tokens.
#[derive(Default)]
struct Collector {
    paths: Vec<Vec<String>>,
    names: BTreeMap<String, Vec<String>>,
    /// Modules in files of their own, but for those of tests.
    children: Vec<String>,
}

/// What the source consists of, as far as paths are concerned.
enum Token {
    Ident(String),
    Punct(char),
    /// What stands between two brackets, of which this is the first.
    Group(char, Tokens),
}

/// The tokens of a file or a group, read from front to back.
#[derive(Default)]
struct Tokens(VecDeque<Token>);

impl Tokens {
    /// Cuts source into tokens, up to the closing bracket of the group it begins in.
    fn read(text: &mut Peekable<Chars<'_>>) -> Self {
        let mut tokens = Self::default();
        while let Some(c) = text.next() {
            match c {
                '/' if text.peek() == Some(&'/') => while text.next_if(|&c| c != '\n').is_some() {},
                '"' => while text.next().is_some_and(|c| c != '"') {},
                '\\' => drop(text.next()),
                // A character, or a lifetime, whose name is passed over like one.
                '\'' => {
                    let first = text.next();
                    if first == Some('\\') {
                        text.next();
                        while text.next().is_some_and(|c| c != '\'') {}
                    } else {
                        text.next_if_eq(&'\'');
                    }
                }
                '(' | '[' | '{' => tokens.0.push_back(Token::Group(c, Self::read(text))),
                ')' | ']' | '}' => return tokens,
                c if c.is_alphabetic() || c == '_' => {
                    let mut ident = String::from(c);
                    while let Some(c) = text.next_if(|c| c.is_alphanumeric() || *c == '_') {
                        ident.push(c);
                    }
                    tokens.0.push_back(Token::Ident(ident));
                }
                c if c.is_whitespace() => {}
                c => tokens.0.push_back(Token::Punct(c)),
            }
        }
        tokens
    }

    fn ident(&self, n: usize) -> Option<&str> {
        match self.0.get(n)? {
            Token::Ident(ident) => Some(ident),
            _ => None,
        }
    }

    fn is(&self, n: usize, punct: char) -> bool {
        matches!(self.0.get(n), Some(Token::Punct(found)) if *found == punct)
    }

    /// Takes the group at the front, when it is one of these brackets.
    fn group(&mut self, bracket: char) -> Option<Tokens> {
        match self.0.pop_front()? {
            Token::Group(found, inside) if found == bracket => Some(inside),
            other => {
                self.0.push_front(other);
                None
            }
        }
    }

    /// Whether they are `cfg(test)`.
    fn is_cfg_test(&self) -> bool {
        let condition = match self.0.get(1) {
            Some(Token::Group('(', condition)) => condition.ident(0),
            _ => None,
        };
        self.ident(0) == Some("cfg") && condition == Some("test")
    }

    fn skip(&mut self, count: usize) {
        self.0.drain(..count.min(self.0.len()));
    }

    /// `a::b::c` at the front; with the colons behind it, when there are any.
    fn path(&mut self) -> Option<Vec<String>> {
        let mut path = vec![self.ident(0)?.to_owned()];
        self.skip(1);
        while self.is(0, ':') && self.is(1, ':') {
            let Some(next) = self.ident(2) else { break };
            path.push(next.to_owned());
            self.skip(3);
        }
        Some(path)
    }

    /// Passes over an item: to its semicolon, or to the end of its braces.
    fn item(&mut self) {
        while let Some(token) = self.0.pop_front() {
            let ends = match token {
                Token::Punct(punct) => punct == ';',
                Token::Group(bracket, _) => bracket == '{',
                Token::Ident(_) => false,
            };
            if ends {
                return;
            }
        }
    }
}

impl Collector {
    fn read(&mut self, mut tokens: Tokens) {
        while let Some(token) = tokens.0.pop_front() {
            match token {
                Token::Punct('#') => {
                    if tokens.group('[').is_some_and(|attribute| attribute.is_cfg_test()) {
                        tokens.item();
                    }
                }
                Token::Punct(_) => {}
                Token::Group(_, inside) => self.read(inside),
                Token::Ident(word) if word == "use" => self.tree(&mut tokens, &[]),
                Token::Ident(word) if word == "mod" && tokens.is(1, ';') => {
                    self.children.extend(tokens.ident(0).map(str::to_owned));
                    tokens.skip(2);
                }
                ident => {
                    tokens.0.push_front(ident);
                    self.paths.extend(tokens.path());
                }
            }
        }
    }

    /// One tree of a `use`: `a::b`, `a as b`, `a::*` or `a::{…}`.
    fn tree(&mut self, tokens: &mut Tokens, before: &[String]) {
        if tokens.is(0, ':') {
            tokens.skip(2);
        }
        let path = [before, &tokens.path().unwrap_or_default()].concat();
        if tokens.is(0, ':') && tokens.is(1, ':') {
            tokens.skip(2);
        }
        if let Some(mut inside) = tokens.group('{') {
            while !inside.0.is_empty() {
                self.tree(&mut inside, &path);
                if inside.is(0, ',') {
                    inside.skip(1);
                }
            }
            return;
        }
        if tokens.is(0, '*') {
            tokens.skip(1);
            self.paths.push(path);
            return;
        }
        let path = if path.last().is_some_and(|last| last == "self") { before.to_vec() } else { path };
        let mut name = path.last().cloned();
        if tokens.ident(0) == Some("as") {
            name = tokens.ident(1).map(str::to_owned);
            tokens.skip(2);
        }
        self.paths.push(path.clone());
        self.names.extend(name.map(|name| (name, path)));
    }
}

impl Crate {
    /// Reads the crate whose `lib.rs` lies in this folder.
    fn read(folder: &Path) -> Self {
        let mut read = Self::default();
        read.module(Vec::new(), folder.join("lib.rs"), folder.to_path_buf());
        read
    }

    /// Reads a module and its children, whose files lie in `folder`.
    fn module(&mut self, path: ModulePath, file: PathBuf, folder: PathBuf) {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut found = Collector::default();
        found.read(Tokens::read(&mut text.chars().peekable()));
        for name in &found.children {
            let (alone, inside) = (folder.join(format!("{name}.rs")), folder.join(name));
            let file = if alone.exists() { alone } else { inside.join("mod.rs") };
            self.module([path.as_slice(), std::slice::from_ref(name)].concat(), file, inside);
        }
        self.modules.insert(path, Module { file, paths: found.paths, names: found.names });
    }

    /// The module that defines what this path means in that module; `None` when it is of another crate, or a local
    /// name.
    fn owner(&self, module: &ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
        // A name that stands for itself leads nowhere.
        if depth > 8 {
            return None;
        }
        let first = path.first()?;
        let (mut at, mut rest) = match first.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (module.clone(), &path[1..]),
            "super" => {
                let up = path.iter().take_while(|segment| *segment == "super").count();
                (module[..module.len().checked_sub(up)?].to_vec(), &path[up..])
            }
            _ => {
                let child = [module.as_slice(), std::slice::from_ref(first)].concat();
                let known = self.modules.contains_key(&child);
                match self.modules[module].names.get(first) {
                    _ if known => (child, &path[1..]),
                    Some(meaning) if meaning.as_slice() != path => {
                        return self.owner(module, &[meaning.as_slice(), &path[1..]].concat(), depth + 1);
                    }
                    _ => return None,
                }
            }
        };
        while let Some((next, after)) = rest.split_first() {
            let child = [at.as_slice(), std::slice::from_ref(next)].concat();
            if self.modules.contains_key(&child) {
                (at, rest) = (child, after);
            } else if let Some(meaning) = self.modules[&at].names.get(next) {
                let meaning = [meaning.as_slice(), after].concat();
                return self.owner(&at, &meaning, depth + 1).or(Some(at));
            } else {
                break;
            }
        }
        Some(at)
    }

    /// At each level: which of those that lie side by side imports which, and by what file.
    fn levels(&self) -> BTreeMap<ModulePath, BTreeMap<String, BTreeMap<String, String>>> {
        let mut levels: BTreeMap<ModulePath, BTreeMap<String, BTreeMap<String, String>>> = BTreeMap::new();
        for (module, Module { file, paths, .. }) in &self.modules {
            for path in paths {
                let Some(owner) = self.owner(module, path, 0) else { continue };
                let shared = module.iter().zip(&owner).take_while(|(a, b)| a == b).count();
                if let (Some(from), Some(to)) = (module.get(shared), owner.get(shared)) {
                    let by = format!("{} uses {}", file.display(), path.join("::"));
                    let level = levels.entry(module[..shared].to_vec()).or_default();
                    level.entry(from.clone()).or_default().entry(to.clone()).or_insert(by);
                }
            }
        }
        levels
    }
}

/// The first circle that is met, as the imports it consists of.
fn circle(imports: &BTreeMap<String, BTreeMap<String, String>>) -> Option<Vec<String>> {
    fn follow(
        at: &str,
        imports: &BTreeMap<String, BTreeMap<String, String>>,
        way: &mut Vec<(String, String)>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|(from, _)| from == at) {
            return Some(way[start..].iter().map(|(_, by)| by.clone()).collect());
        }
        if done.contains(at) {
            return None;
        }
        for (to, by) in imports.get(at).into_iter().flatten() {
            way.push((at.to_owned(), by.clone()));
            let found = follow(to, imports, way, done);
            way.pop();
            if found.is_some() {
                return found;
            }
        }
        done.insert(at.to_owned());
        None
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|start| follow(start, imports, &mut Vec::new(), &mut done))
}

#[test]
fn no_two_files_import_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = std::fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path().join("src"));
    let (mut files, mut circles) = (0, Vec::new());
    for folder in crates.chain([root.join("src")]) {
        let read = Crate::read(&folder);
        files += read.modules.len();
        for (_, imports) in read.levels() {
            circles.extend(circle(&imports).map(|circle| circle.join("\n  ")));
        }
    }
    assert!(files > 300, "only {files} files were found");
    assert!(circles.is_empty(), "files that import each other:\n  {}", circles.join("\n\n  "));
}

#[test]
fn a_circle_is_found_through_what_a_folder_passes_on() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    write("lib.rs", "mod a; mod b;");
    write("a.rs", "use crate::b::X; pub struct Y;");
    write("b/mod.rs", "mod c; mod d; pub use c::X; pub struct Z;");
    write("b/c.rs", "use super::Z; use super::d::W; pub struct X;");
    write("b/d.rs", "pub struct W;");
    let circles = || Crate::read(folder.path()).levels().values().filter_map(circle).collect::<Vec<_>>();
    assert_eq!(circles(), Vec::<Vec<String>>::new());
    write("b/d.rs", "pub struct W; fn f() -> super::X {}");
    assert_eq!(circles().len(), 1, "by way of a name that the folder passes on");
    write("b/d.rs", "pub struct W; #[cfg(test)] mod tests { use super::super::X; }");
    assert_eq!(circles().len(), 0, "tests may");
    write("b/d.rs", "pub struct W(crate::a::Y);");
    assert_eq!(circles().len(), 1, "from inside a folder to one that imports the folder");
}
