//! An excerpt of an answer that may be of any size: of its JSON what is needed, within bounds.
//!
//! In: the bytes of the answer, piece by piece. Out: JSON of the same shape, in which long lists and texts end sooner
//! and properties are missing of which there is too much, and a [`LeftOut`] that says so. An answer of ordinary size
//! stays as it is to the byte, well-formed or not. It knows the names of properties and nothing of what they mean.
//!
//! ```text
//! piece ─▶ a value begins: has its part room, and its list? ─yes▶ kept, with the comma and the name before it
//!                                                           └no─▶ passed over, to the comma or bracket behind it
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;

/// This many bytes of an answer are read.
pub const MOST_READ: usize = 64 << 20;
/// This many bytes of it are kept altogether; only an answer that is out of its mind has so many.
const MOST_KEPT: usize = 8 << 20;
/// Of each part this many bytes are kept, and what began before.
const MOST_OF_A_PART: usize = 1 << 20;
/// Of a text this many bytes are kept.
pub const MOST_TEXT: usize = 16 << 10;
/// Of the white space between values this many bytes are kept: an error can tell where it is.
const MOST_SPACE: usize = 64 << 10;
/// Of the entries of a list as many are kept as the wire types take.
const MOST_ENTRIES: usize = super::wire::MAX_ENTRIES;
/// Values that lie deeper are passed over; those that are needed lie six deep.
const DEEPEST: usize = 64;
/// Longer names are none that are known here.
const LONGEST_NAME: usize = 24;

/// What was left out of an answer because it was too large.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// What, and how much of it, for people.
    pub told: String,
    /// There may be tags among it.
    pub tags: bool,
    /// Whom it is about may be among it: not all faces were read, or somebody's id has no end.
    pub in_doubt: bool,
}

/// Why an answer is not read to its end.
#[derive(Debug, Clone, Copy)]
pub enum End {
    Size,
    Time,
}

/// An answer as far as it was read.
#[derive(Default)]
pub struct Excerpt {
    kept: Vec<u8>,
    read: usize,
    /// How many bytes are kept of each part.
    sizes: [usize; Part::Other as usize + 1],
    spaces: usize,
    /// The objects and lists that are kept and not closed yet.
    open: Vec<Level>,
    /// The comma, the name and the colon before the next value, which are kept if it is.
    before: Vec<u8>,
    /// That name, as far as it can be one that is known.
    name: Vec<u8>,
    /// The part that the value under way belongs to.
    part: Part,
    text: Option<Text>,
    in_scalar: bool,
    /// Where the text or number under way begins, with what stands before it.
    unfinished: Option<usize>,
    /// How deep we are in a value that is passed over.
    passing: Option<usize>,
    /// All faces were read.
    faces_read: bool,
    /// The end of a person's id is left out.
    half_an_id: bool,
    left_out: BTreeMap<&'static str, usize>,
}

/// What a value belongs to. What is within a part belongs to it, whatever its name, but for the frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    /// Who was found, and where: never left out.
    #[default]
    Frame,
    Tags,
    Fields,
    Aliases,
    Addresses,
    /// What nobody asks for.
    Other,
}

/// An object or a list that is open.
struct Level {
    closing: u8,
    part: Part,
    /// It is the list of faces.
    faces: bool,
    /// Where it begins, with what stands before it.
    start: usize,
    /// Entries that are kept.
    entries: usize,
    /// There were others before.
    left_out: bool,
    /// A text is the name of a property.
    names: bool,
}

/// A text under way.
struct Text {
    role: Role,
    bytes: usize,
    escape: Escape,
    /// The first half of a character that takes two escapes was the last.
    half: bool,
    /// Its end is left out.
    cut: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Role {
    Name,
    Value,
    PassedOver,
}

enum Escape {
    None,
    Begun,
    Hex { left: u8, value: u32 },
}

impl Excerpt {
    /// Takes the next bytes of the answer; false when no more are wanted.
    pub fn take(&mut self, piece: &[u8]) -> bool {
        self.read += piece.len();
        let mut rest = piece;
        while let [byte, after @ ..] = rest {
            match self.more_of_text(rest) {
                0 => {
                    self.byte(*byte);
                    rest = after;
                }
                taken => rest = &rest[taken..],
            }
        }
        self.read < MOST_READ && self.kept.len() < MOST_KEPT
    }

    /// How many bytes there were so far.
    pub fn read(&self) -> usize {
        self.read
    }

    /// An answer that was read to its end.
    pub fn whole(mut self) -> (Bytes, Option<LeftOut>) {
        self.flush(self.part);
        let left_out = (!self.left_out.is_empty()).then(|| LeftOut {
            told: self.told(None),
            tags: self.left_out.contains_key(Part::Tags.told()),
            in_doubt: self.half_an_id,
        });
        (self.kept.into(), left_out)
    }

    /// An answer whose end was not waited for: what is under way counts as far as it makes sense by itself.
    pub fn so_far(mut self, end: End) -> (Bytes, LeftOut) {
        if let Some(start) = self.unfinished {
            self.kept.truncate(start);
        }
        // An entry counts whole or not at all: a tag without its end may be one that has expired.
        let lists = self.open.iter().map(|level| level.closing == b']' && !level.faces);
        if let Some(list) = lists.take(self.open.len().saturating_sub(1)).position(|is_list| is_list) {
            self.kept.truncate(self.open[list + 1].start);
            self.open.truncate(list + 1);
        }
        self.kept.extend(self.open.iter().rev().map(|level| level.closing));
        let left_out =
            LeftOut { told: self.told(Some(end)), tags: true, in_doubt: !self.faces_read || self.half_an_id };
        (self.kept.into(), left_out)
    }

    fn told(&self, end: Option<End>) -> String {
        let mut told: Vec<_> = self.left_out.iter().map(|(what, count)| format!("{count} {what}")).collect();
        told.extend(end.map(|end| match end {
            End::Size => format!("everything after the first {} bytes", self.read),
            End::Time => format!("everything after {} bytes, when the time was over", self.read),
        }));
        format!("the answer is too large; left out of it: {}", told.join(", "))
    }

    /// Takes at once what is only more of the text of a value; gives how many bytes that are.
    fn more_of_text(&mut self, bytes: &[u8]) -> usize {
        let Some(text) = &mut self.text else { return 0 };
        let is_kept = !text.cut && text.role != Role::PassedOver;
        if !matches!(text.escape, Escape::None) || (is_kept && text.role == Role::Name) {
            return 0;
        }
        let room = if is_kept { MOST_TEXT.saturating_sub(text.bytes) } else { bytes.len() };
        let bytes = &bytes[..bytes.len().min(room)];
        let plain = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(bytes.len());
        text.bytes += plain;
        text.half &= plain == 0;
        if is_kept {
            self.kept.extend_from_slice(&bytes[..plain]);
            self.sizes[self.part as usize] += plain;
        }
        plain
    }

    fn byte(&mut self, byte: u8) {
        if self.text.is_some() {
            return self.in_text(byte);
        }
        if let Some(depth) = self.passing {
            match byte {
                b'"' => self.text = Some(Text::new(Role::PassedOver)),
                b'{' | b'[' => self.passing = Some(depth + 1),
                b'}' | b']' if depth > 0 => self.passing = Some(depth - 1),
                b'}' | b']' | b',' if depth == 0 => self.passing = None,
                _ => {}
            }
            if self.passing.is_some() {
                return;
            }
        }
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'{' | b'[' | b'}' | b']' | b',' | b':') {
            (self.in_scalar, self.unfinished) = (false, None);
        }
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => self.space(byte),
            b'"' if self.open.last().is_some_and(|level| level.names) => {
                self.name.clear();
                self.hold(byte);
                self.text = Some(Text::new(Role::Name));
            }
            b'"' => {
                let kept = self.begins();
                self.text = Some(Text::new(if kept { Role::Value } else { Role::PassedOver }));
                if kept {
                    self.keep(byte, self.part);
                }
            }
            b'{' | b'[' => self.opens(byte),
            b'}' | b']' => self.closes(byte),
            b',' => {
                // Only a broken document has something there.
                self.flush(self.part);
                self.hold(byte);
                self.expect_name(true);
            }
            b':' => {
                self.hold(byte);
                self.expect_name(false);
            }
            _ if self.in_scalar => self.keep(byte, self.part),
            _ if self.begins() => {
                self.in_scalar = true;
                self.keep(byte, self.part);
            }
            _ => {}
        }
    }

    /// Whether the value that begins here is kept; else it is passed over, and its name and comma with it.
    fn begins(&mut self) -> bool {
        let part = self.part_of_next();
        let is_full = part != Part::Frame && self.sizes[part as usize] >= MOST_OF_A_PART;
        let list = self.open.last().filter(|level| level.closing == b']');
        let is_long = list.is_some_and(|list| list.entries >= MOST_ENTRIES);
        if is_full || is_long || self.open.len() >= DEEPEST {
            let what = if list.is_some_and(|list| list.faces) { "faces" } else { part.told() };
            *self.left_out.entry(what).or_default() += 1;
            self.open.last_mut().into_iter().for_each(|level| level.left_out = true);
            self.before.clear();
            self.passing = Some(0);
            return false;
        }
        self.part = part;
        self.unfinished = Some(self.kept.len());
        self.flush(part);
        self.open.last_mut().into_iter().for_each(|level| level.entries += 1);
        true
    }

    fn part_of_next(&self) -> Part {
        match self.open.last() {
            Some(level) if level.part == Part::Frame && level.closing == b'}' => Part::of(&self.name),
            Some(level) => level.part,
            None => Part::Frame,
        }
    }

    fn opens(&mut self, byte: u8) {
        if !self.begins() {
            self.passing = Some(1);
            return;
        }
        let start = self.unfinished.take().unwrap_or_default();
        let (closing, names) = if byte == b'{' { (b'}', true) } else { (b']', false) };
        let faces = self.name == b"detectedFaces" && self.open.len() == 1;
        self.open.push(Level { closing, part: self.part, faces, start, entries: 0, left_out: false, names });
        self.keep(byte, self.part);
    }

    fn closes(&mut self, byte: u8) {
        self.flush(self.part);
        let level = self.open.pop();
        self.faces_read |= level.as_ref().is_some_and(|level| level.faces);
        self.keep(byte, level.map_or(Part::Frame, |level| level.part));
    }

    fn expect_name(&mut self, names: bool) {
        if let Some(level) = self.open.last_mut() {
            level.names = names && level.closing == b'}';
        }
    }

    fn space(&mut self, byte: u8) {
        self.spaces += 1;
        if self.spaces > MOST_SPACE {
            return;
        }
        if self.before.is_empty() { self.keep(byte, Part::Frame) } else { self.hold(byte) }
    }

    fn in_text(&mut self, byte: u8) {
        let Some(text) = &mut self.text else { return };
        let (role, is_end) = (text.role, text.is_end(byte));
        let cuts = !is_end && !text.cut && role != Role::PassedOver && text.may_be_cut_before(byte);
        text.cut |= cuts;
        let is_cut = text.cut && !is_end;
        text.follow(byte);
        if is_end {
            self.text = None;
        }
        if cuts {
            self.half_an_id |= role == Role::Value && self.part == Part::Frame && self.name == b"personId";
            *self.left_out.entry("ends of long texts").or_default() += 1;
            "…".bytes().for_each(|byte| self.put(role, byte));
        } else if !is_cut {
            self.put(role, byte);
        }
        match role {
            Role::Name if is_end => self.expect_name(false),
            Role::Name if self.name.len() < LONGEST_NAME => self.name.push(byte),
            Role::Value if is_end => self.unfinished = None,
            _ => {}
        }
    }

    fn put(&mut self, role: Role, byte: u8) {
        match role {
            Role::Name => self.hold(byte),
            Role::Value => self.keep(byte, self.part),
            Role::PassedOver => {}
        }
    }

    fn keep(&mut self, byte: u8, part: Part) {
        self.kept.push(byte);
        self.sizes[part as usize] += 1;
    }

    /// Keeps a byte if the next value is kept.
    fn hold(&mut self, byte: u8) {
        self.before.push(byte);
        // No name is longer than its quotes, its colon and as much white space as there may be.
        if self.before.len() > MOST_TEXT + MOST_SPACE {
            self.flush(self.part);
        }
    }

    /// Keeps what stands before a value.
    fn flush(&mut self, part: Part) {
        // The first that is kept has no comma before it, whatever was left out.
        let is_first = self.open.last().is_some_and(|level| level.left_out && level.entries == 0);
        let from = usize::from(is_first && self.before.first() == Some(&b','));
        self.kept.extend_from_slice(&self.before[from..]);
        self.sizes[part as usize] += self.before.len() - from;
        self.before.clear();
    }
}

impl Part {
    /// The part of a property of the frame.
    fn of(name: &[u8]) -> Self {
        match name {
            b"detectedFaces" | b"faceId" | b"detectId" | b"confidence" | b"matchConfidence" | b"faceQuality"
            | b"boundingBox" | b"x" | b"y" | b"width" | b"height" | b"person" | b"personId" | b"friendlyName"
            | b"firstName" | b"lastName" | b"nearest" | b"name" | b"score" | b"threshold" => Self::Frame,
            b"personTags" | b"tags" => Self::Tags,
            b"entityFields" => Self::Fields,
            b"aliases" => Self::Aliases,
            b"addresses" => Self::Addresses,
            _ => Self::Other,
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Fields => "fields",
            Self::Aliases => "names",
            Self::Addresses => "addresses",
            Self::Frame | Self::Other => "other values",
        }
    }
}

impl Text {
    fn new(role: Role) -> Self {
        Self { role, bytes: 0, escape: Escape::None, half: false, cut: false }
    }

    fn is_end(&self, byte: u8) -> bool {
        byte == b'"' && matches!(self.escape, Escape::None)
    }

    /// Whether it is long enough, and this byte begins a character.
    fn may_be_cut_before(&self, byte: u8) -> bool {
        let begins = matches!(self.escape, Escape::None) && byte & 0xc0 != 0x80 && !(self.half && byte == b'\\');
        self.bytes >= MOST_TEXT && begins
    }

    fn follow(&mut self, byte: u8) {
        self.bytes += 1;
        self.escape = match self.escape {
            Escape::None if byte == b'\\' => Escape::Begun,
            Escape::Begun if byte == b'u' => Escape::Hex { left: 4, value: 0 },
            Escape::Hex { left, value } => {
                let value = value << 4 | char::from(byte).to_digit(16).unwrap_or_default();
                if left > 1 {
                    Escape::Hex { left: left - 1, value }
                } else {
                    self.half = (0xd800..0xdc00).contains(&value);
                    Escape::None
                }
            }
            Escape::None | Escape::Begun => {
                self.half = false;
                Escape::None
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::wire::{FaceEdgePublishResponse, MatchedPerson};
    use super::*;

    fn whole(text: &[u8], piece: usize) -> (Vec<u8>, Option<LeftOut>) {
        let mut excerpt = Excerpt::default();
        assert!(text.chunks(piece).all(|piece| excerpt.take(piece)));
        let (kept, left_out) = excerpt.whole();
        (kept.to_vec(), left_out)
    }

    fn so_far(text: &[u8]) -> (Bytes, LeftOut) {
        let mut excerpt = Excerpt::default();
        excerpt.take(text);
        excerpt.so_far(End::Time)
    }

    fn person(json: &[u8]) -> MatchedPerson {
        let mut answer: FaceEdgePublishResponse = serde_json::from_slice(json).unwrap();
        answer.detected_faces.remove(0).person.unwrap()
    }

    /// An answer with something of everything.
    fn sample() -> String {
        json!({"detectedFaces": [
            {"faceId": "f1", "boundingBox": {"x": 1, "y": -2.5, "width": 3e1, "height": 4}, "confidence": 0.9},
            {"faceId": "f2", "matchConfidence": 0.75, "person": {"personId": "p\"\u{1d11e}",
             "aliases": [{"lastName": "L"}],
             "entityFields": [{"name": "a", "stringValue": "b\\"}, {"name": "c", "boolValue": true}],
             "personTags": [{"tag": {"name": "VIP"}, "expires": "2020-01-01T00:00:00Z"}, {"name": "x"}]}},
        ], "more": [[1, [], {}], null]})
        .to_string()
    }

    #[test]
    fn an_ordinary_answer_stays_as_it_is_to_the_byte() {
        let spaced = sample().replace(',', " ,\n\t").replace(':', " : ").replace("VIP", "\\ud834\\udd1e");
        let broken = [
            "",
            " ",
            "{",
            "[1,]",
            "{,}",
            "[,,1]",
            "{\"a\":1,}",
            "{\"a\"::1}",
            "{\"a\" \"b\"}",
            "]]}",
            "<html a=\"b\">, [",
            "{\"a\":1]",
            "tr ue",
            "\"x",
            "\"\\",
            "\"\\u12",
            "{\"a\":",
            "{\"a",
            "[\"a\":{\"b\"]",
            "\u{feff}{}",
        ];
        for text in broken.map(str::to_owned).into_iter().chain([sample(), spaced]) {
            for piece in [1, 7, 1 << 20] {
                let (kept, left_out) = whole(text.as_bytes(), piece);
                assert_eq!((String::from_utf8(kept).unwrap(), left_out), (text.clone(), None), "{piece}");
            }
        }
    }

    #[test]
    fn wherever_an_answer_is_cut_it_makes_sense_and_no_entry_is_halved() {
        let text = sample();
        let all: Value = serde_json::from_str(&text).unwrap();
        for end in text.find('{').unwrap() + 1..text.len() {
            let (kept, left_out) = so_far(&text.as_bytes()[..end]);
            let cut: Value = serde_json::from_slice(&kept).unwrap_or_else(|error| panic!("{error}: {kept:?}"));
            assert!(left_out.tags && left_out.told.contains(&format!("after {end} bytes")), "{}", left_out.told);
            assert_eq!(left_out.in_doubt, end < text.find(",\"more").unwrap(), "{end}");
            let person = |value: &Value| value["detectedFaces"][1]["person"].clone();
            for list in ["personTags", "entityFields", "aliases"] {
                let entries = person(&cut)[list].as_array().cloned().unwrap_or_default();
                assert!(entries.iter().zip(person(&all)[list].as_array().unwrap()).all(|(cut, all)| cut == all));
            }
            let id = &person(&cut)["personId"];
            assert!(id.is_null() || *id == person(&all)["personId"], "half an id is none: {id}");
        }
    }

    #[test]
    fn of_what_there_is_too_much_the_beginning_stays_and_the_rest_of_the_answer_is_whole() {
        let field = json!({"name": "n", "stringValue": "v".repeat(2000)}).to_string();
        let list = |count: usize, entry: &str| vec![entry; count].join(",");
        let person_with = |before: &str| {
            let text = format!(
                r#"{{"detectedFaces":[{{"person":{{{before}"personId":"p","personTags":[{{"name":"banned"}}]}}}}]}}"#
            );
            let (kept, left_out) = whole(text.as_bytes(), 1000);
            assert!(kept.len() < MOST_OF_A_PART + (64 << 10), "{} bytes", kept.len());
            let person = person(&kept);
            assert_eq!(
                (person.person_id.as_str(), person.person_tags.as_ref().unwrap()[0].name()),
                ("p", Some("banned"))
            );
            (person, left_out.unwrap().told)
        };
        // By their bytes, and by their number.
        let (person, told) = person_with(&format!(r#""entityFields":[{}],"#, list(3000, &field)));
        let kept = person.entity_fields.unwrap().len();
        assert!((500..600).contains(&kept) && told.ends_with(&format!(": {} fields", 3000 - kept)), "{kept}, {told}");
        let (person, told) = person_with(&format!(r#""aliases":[{}],"#, list(5000, r#"{"firstName":"A"}"#)));
        assert_eq!((person.aliases.unwrap().len(), told.ends_with(": 3976 names")), (MOST_ENTRIES, true), "{told}");
        // Whatever nobody asks for, in whatever shape, also as the first of its object.
        for other in [
            format!(r#""notes":[{}],"#, list(5000, &field)),
            format!(r#""notes":{{{}}},"#, list(200_000, r#""note":{"a":["b"]}"#)),
            format!(r#""notes":[{}],"more":{{}},"#, list(900, &format!("[{}]", list(900, "12345")))),
            format!(r#""notes":{}{},"#, "[".repeat(100_000), "]".repeat(100_000)),
        ] {
            let (_, told) = person_with(&other);
            assert!(told.ends_with("other values"), "{told}");
        }
        let (_, told) = person_with(&format!(r#""notes":"{}","#, "\\ud834\\udd1eÄ\\\\".repeat(1 << 16)));
        assert!(told.ends_with(": 1 ends of long texts"), "{told}");
        assert!(person_with(&format!(r#""{}":1,"#, "n".repeat(1 << 20))).1.ends_with(": 1 ends of long texts"));
    }

    #[test]
    fn nothing_makes_it_large() {
        for (start, piece) in [
            ("", " "),
            ("", "["),
            ("[", "1"),
            ("{\"detectedFaces\":[{", "\"faceId\":\"x\","),
            ("{\"detectedFaces\":[", "{\"personId\":\"p\"},"),
            ("{\"a", "b"),
            ("{\"a", "\\ud834"),
            ("{\"a\"", ":"),
            ("{\"tags\":[{\"name\":\"", "\u{fffd}"),
            ("{\"tags\":[", "{\"name\":\"x\"},"),
        ] {
            let mut excerpt = Excerpt::default();
            excerpt.take(start.as_bytes());
            let pieces = piece.repeat(4096);
            while excerpt.take(pieces.as_bytes()) && excerpt.read() < MOST_READ / 4 {
                assert!(excerpt.kept.len() <= MOST_KEPT && excerpt.before.len() < 1 << 20);
                assert!(excerpt.open.len() <= DEEPEST);
            }
            let (kept, left_out) = excerpt.so_far(End::Size);
            assert!(kept.len() < MOST_KEPT + (1 << 20) && left_out.tags, "{start}{piece}");
        }
    }
}
