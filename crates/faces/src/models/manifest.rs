//! The list of files doorward may use, with hashes, sources and licences.
//!
//! In: the text of `models/manifest.toml`. Out: a checked [`Manifest`]. It does not know which of the files are here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

use super::{ModelError, Role};

/// No file of a manifest may be larger.
const MAX_BYTES: u64 = 512 * 1024 * 1024;

static EMBEDDED: LazyLock<Manifest> = LazyLock::new(|| {
    // A test parses the same text.
    Manifest::parse(include_str!("../../../../models/manifest.toml")).expect("the manifest compiled in is valid")
});

/// The checked manifest.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The names of the models that `auto` looks for, best first.
    auto: BTreeMap<Role, Vec<String>>,
    #[serde(rename = "entry")]
    entries: Vec<Entry>,
}

/// One file: what it is, the hash it must have, and where it comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub name: String,
    pub role: Role,
    /// As `std::env::consts::ARCH` spells it; `None` runs anywhere.
    pub arch: Option<String>,
    pub licence: String,
    /// One line for people.
    pub about: String,
    /// Name, shape, type and scale of a model's input; empty for what is no model.
    #[serde(default)]
    pub input: String,
    #[serde(default)]
    pub output: String,
    /// The name of the file in the models folder.
    pub file: String,
    /// The length of the file in the models folder.
    pub bytes: u64,
    /// The sha256 of the file in the models folder, in lower case hexadecimal.
    pub sha256: String,
    /// What the file was made from, where no address and no package has the file itself.
    pub origin: Option<Url>,
    prepare: Option<String>,
    /// What a preparation starts from is the business of the tool that prepares.
    #[serde(default, rename = "raw")]
    _raw: IgnoredAny,
    source: Vec<Source>,
}

/// Where a file comes from: public addresses in the order they are tried, or a package. Which part of a package it is
/// stands there too, for the tool that prepares.
#[derive(Debug, Clone, Deserialize)]
struct Source {
    #[serde(default)]
    urls: Vec<Url>,
    pip: Option<String>,
    npm: Option<String>,
}

/// Length and sha256 of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest {
    pub bytes: u64,
    /// In lower case hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// The one compiled into this program.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// Text that is not TOML of the right form, and an entry that contradicts itself or another one.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let manifest: Self = toml::from_str(text).map_err(ModelError::ManifestSyntax)?;
        let (mut names, mut files) = (BTreeSet::new(), BTreeSet::new());
        for entry in &manifest.entries {
            entry.check().map_err(|problem| wrong(&entry.name, problem))?;
            if !names.insert(&entry.name) {
                return Err(wrong(&entry.name, "the name is used twice"));
            }
            if !files.insert(&entry.file) {
                return Err(wrong(&entry.name, format!("the file {} belongs to another entry already", entry.file)));
            }
        }
        for (role, names) in &manifest.auto {
            for name in names {
                if manifest.entry(name).is_none_or(|entry| entry.role != *role) {
                    return Err(wrong("auto", format!("`{name}` is no {role} of this manifest")));
                }
            }
        }
        Ok(manifest)
    }

    /// In the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries this machine can use: no libraries for other processors.
    pub fn usable(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.runs_here())
    }

    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// What `auto` looks for, best first. Runtimes and pictures come in the order of the file.
    pub fn preference(&self, role: Role) -> Vec<&Entry> {
        match self.auto.get(&role) {
            Some(names) => names.iter().filter_map(|name| self.entry(name)).collect(),
            None => self.usable().filter(|entry| entry.role == role).collect(),
        }
    }

    /// The error for a name nobody has in this role, or in any for `None`: with the nearest that exists.
    pub fn unknown(&self, role: Option<Role>, wanted: &str) -> ModelError {
        let known: Vec<&str> =
            self.entries.iter().filter(|e| role.is_none_or(|role| e.role == role)).map(|e| e.name.as_str()).collect();
        let nearest = wording::nearest(wanted, known.iter().copied(), 0.5).map(str::to_owned);
        let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let known = if role.is_some_and(Role::is_model) { format!("`auto`, {known}") } else { known };
        let role = match role {
            Some(Role::Liveness) => "liveness model",
            role => role.map_or("file", |role| role.into_str()),
        };
        ModelError::Unknown { role, wanted: wanted.to_owned(), nearest, known }
    }
}

impl Entry {
    /// Whether it is of use on this machine's processor.
    pub fn runs_here(&self) -> bool {
        self.arch.as_deref().is_none_or(|arch| arch == std::env::consts::ARCH)
    }

    /// What the file in the models folder must be.
    pub fn digest(&self) -> Digest {
        Digest { bytes: self.bytes, sha256: self.sha256.clone() }
    }

    /// Public addresses of the file, in the order they are tried.
    pub fn urls(&self) -> impl Iterator<Item = &Url> {
        self.source.iter().flat_map(|source| &source.urls)
    }

    /// Packages that `make models` takes the file from, as people name them.
    pub fn packages(&self) -> impl Iterator<Item = String> {
        self.source.iter().filter_map(|source| {
            let python = source.pip.as_ref().map(|package| format!("the Python package {package}"));
            python.or(source.npm.as_ref().map(|package| format!("the npm package {package}")))
        })
    }

    /// What is wrong with the entry, taken by itself.
    fn check(&self) -> Result<(), String> {
        let fail = |problem: &str| Err(problem.to_owned());
        if self.name.is_empty() || !self.name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_')) {
            return fail("a name is made of lower case letters, digits and underscores");
        }
        // The name becomes a path: it must stay in the folder and not look like one of our temporary files.
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if self.file.is_empty() || self.file.starts_with('.') || !self.file.chars().all(plain) {
            return fail("`file` is a plain file name");
        }
        if self.bytes == 0 || self.bytes > MAX_BYTES {
            return Err(format!("`bytes` is 1 to {MAX_BYTES}"));
        }
        if self.sha256.len() != 64 || !self.sha256.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
            return Err(format!("`{}` is not a sha256 in lower case hexadecimal", self.sha256));
        }
        let kinds = |source: &Source| [!source.urls.is_empty(), source.pip.is_some(), source.npm.is_some()];
        if self.source.iter().any(|source| kinds(source).into_iter().filter(|there| *there).count() != 1) {
            return fail("a source is one of `urls`, `pip` and `npm`");
        }
        if let Some(url) = self.urls().find(|url| !matches!(url.scheme(), "http" | "https") || url.host().is_none()) {
            return Err(format!("{url} is not an http address"));
        }
        if self.prepare.is_some() && self.urls().next().is_some() {
            return fail("what is prepared comes from packages; an address gives the file as it is");
        }
        Ok(())
    }
}

fn wrong(entry: &str, problem: impl Into<String>) -> ModelError {
    ModelError::ManifestEntry { entry: entry.to_owned(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"
        [auto]
        detector = ["one"]
        embedder = []

        [[entry]]
        name = "one"
        role = "detector"
        licence = "MIT"
        about = "a test"
        file = "one.onnx"
        bytes = 3
        sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        source = [{ urls = ["https://example.org/one"] }]
    "#;

    #[test]
    fn the_manifest_compiled_in_serves_every_role() {
        let manifest = Manifest::embedded();
        for role in Role::ALL {
            let names: Vec<_> = manifest.entries().iter().filter(|entry| entry.role == role).collect();
            assert!(!names.is_empty(), "{role}");
        }
        let names = |role| manifest.preference(role).iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(Role::Detector), ["yunet_n", "yunet_s", "centerface"]);
        assert_eq!(names(Role::Embedder), ["mobilefacenet", "faceapi_resnet"]);
        assert_eq!(names(Role::Liveness), ["antispoof_minifas_128", "minifasnet_v2_2_7", "minifasnet_v1se_4_0"]);
        for entry in manifest.entries() {
            assert!(!entry.licence.is_empty() && !entry.about.is_empty(), "{}", entry.name);
            assert_eq!(entry.role.is_model(), !entry.input.is_empty() && !entry.output.is_empty(), "{}", entry.name);
        }
    }

    #[test]
    fn the_fallback_of_every_role_is_in_a_package() {
        for role in Role::ALL.into_iter().filter(|role| !role.is_optional()) {
            let mut entries = Manifest::embedded().entries().iter().filter(|entry| entry.role == role);
            assert!(entries.any(|entry| entry.packages().next().is_some()), "{role}");
        }
    }

    #[test]
    fn libraries_are_for_one_processor_only() {
        let manifest = Manifest::embedded();
        for entry in manifest.entries() {
            assert_eq!(entry.arch.is_some(), entry.role == Role::Runtime, "{}", entry.name);
        }
        assert!(manifest.usable().filter(|entry| entry.role == Role::Runtime).count() <= 1);
    }

    #[test]
    fn a_wrong_manifest_is_refused_with_the_reason() {
        let cases = [
            ("bytes = 3", "bytes = 0", "`bytes` is 1 to"),
            ("bytes = 3", "bytes = 3\nsize = 3", "cannot read the manifest"),
            ("ba7816bf", "xyz816bf", "is not a sha256"),
            ("ba7816bf", "", "is not a sha256"),
            ("\"one.onnx\"", "\"../one.onnx\"", "plain file name"),
            ("\"one.onnx\"", "\".lock\"", "plain file name"),
            ("name = \"one\"", "name = \"One\"", "lower case"),
            ("detector = [\"one\"]", "detector = [\"two\"]", "`two` is no detector"),
            ("embedder = []", "embedder = [\"one\"]", "`one` is no embedder"),
            ("https://example.org/one", "file:///etc/passwd", "not an http address"),
            ("{ urls = [\"https://example.org/one\"] }", "{ pip = \"one==1\", npm = \"one@1\" }", "a source is one of"),
            ("{ urls = [\"https://example.org/one\"] }", "{ members = [\"a\"] }", "a source is one of"),
            ("bytes = 3", "bytes = 3\nprepare = \"faceapi_onnx\"", "comes from packages"),
        ];
        for (right, wrong, expected) in cases {
            assert!(ENTRY.contains(right), "{right}");
            let error = Manifest::parse(&ENTRY.replacen(right, wrong, 1)).unwrap_err().to_string();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
        let twice = format!("{ENTRY}{}", &ENTRY[ENTRY.find("[[entry]]").unwrap()..]);
        assert!(Manifest::parse(&twice).unwrap_err().to_string().contains("the name is used twice"));
        let file =
            twice.replacen("name = \"one\"", "name = \"two\"", 2).replacen("name = \"two\"", "name = \"one\"", 1);
        assert!(Manifest::parse(&file).unwrap_err().to_string().contains("belongs to another entry"));
        assert!(Manifest::parse(ENTRY).is_ok());
    }

    #[test]
    fn a_mistyped_name_gets_the_nearest_one() {
        let cases = [
            (Some(Role::Detector), "yunet_m", Some("yunet_n")),
            (Some(Role::Detector), "CenterFace", Some("centerface")),
            (Some(Role::Embedder), "mobile_facenet", Some("mobilefacenet")),
            (Some(Role::Liveness), "antispoof_minifas", Some("antispoof_minifas_128")),
            (None, "astronauts", Some("astronaut")),
            (Some(Role::Detector), "xyz", None),
        ];
        for (role, wanted, expected) in cases {
            let error = Manifest::embedded().unknown(role, wanted);
            let ModelError::Unknown { nearest, .. } = &error else { panic!("{error}") };
            assert_eq!(nearest.as_deref(), expected, "{wanted}");
            assert_eq!(error.to_string().contains("did you mean"), expected.is_some(), "{error}");
        }
        let error = Manifest::embedded().unknown(Some(Role::Embedder), "yunet_n").to_string();
        assert!(error.ends_with("it is one of `auto`, `mobilefacenet`, `faceapi_resnet`"), "{error}");
    }
}
