//! People in a CSV file, a row for each photo or person.
//!
//! In: a file as spreadsheets write it: with commas, semicolons or tabs, a first line of column names, perhaps a line
//! `sep=;` above it, empty columns at the end, and in UTF-8, UTF-16 or the code page of western Windows. Out: people in
//! the order of their first row. A column that is not known is a mistake, told before anything is sent.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use encoding_rs::WINDOWS_1252;
use identities::roster::CarriedTag;
use identities::text;
use identities::wire::{EntityField, PersonAlias, PersonNote, parse_time};

use super::super::tree::{self, Tree};
use super::source::{Flaw, Photo, Plan, Planned, alias, pictures};
use crate::commands::doors::Doors;

/// A file larger than this is no list of people.
const MAX_BYTES: u64 = 256 << 20;

/// What a column holds.
#[derive(Debug, Clone, PartialEq, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
enum Column {
    Photo,
    Name,
    FirstName,
    LastName,
    MiddleName,
    Title,
    Tag,
    Note,
    /// The key that makes several rows one person.
    Person,
    PersonId,
    #[strum(disabled)]
    Field(String),
    #[strum(disabled)]
    Ignored,
    /// Of no name, and so with nothing in it.
    #[strum(serialize = "")]
    Nameless,
}

pub fn read(file: &Path, doors: &Doors) -> anyhow::Result<Plan> {
    let bytes = tree::read(tree::named(file)?, MAX_BYTES).with_context(|| format!("cannot read {}", file.display()))?;
    let fits = bytes.len() as u64 <= MAX_BYTES;
    ensure!(fits, "{} has more than {MAX_BYTES} bytes, too many for a list of people", file.display());
    let failed = || format!("{} cannot be used", file.display());
    let (text, guessed) = decoded(&bytes).with_context(failed)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut source = rows(&text, Tree::open(folder)?, doors).with_context(failed)?;
    if guessed {
        source.notes.push(format!(
            "{} is not UTF-8 and was read as Windows-1252, as Excel writes it in western Europe; if names come out \
             wrong, save it as \"CSV UTF-8\"",
            file.display()
        ));
    }
    Ok(source)
}

/// The text of a file, and whether its code page had to be guessed.
fn decoded(bytes: &[u8]) -> anyhow::Result<(String, bool)> {
    let (text, guessed) = match identities::text_file::decode(bytes) {
        Some(text) => (text, false),
        None => (WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(), true),
    };
    ensure!(!text.contains('\0'), "it is no text that is known here; save it as \"CSV UTF-8\"");
    Ok((text, guessed))
}

fn rows(text: &str, tree: Tree, doors: &Doors) -> anyhow::Result<Plan> {
    let (said, text) = separator(text);
    // Above the lines the reader counts, `sep=;` is one more.
    let above = u64::from(said.is_some());
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(said.unwrap_or_else(|| delimiter(text)))
        .trim(csv::Trim::All)
        // Excel leaves out empty cells at the end of a row, or adds some.
        .flexible(true)
        .from_reader(text.as_bytes());
    let columns = reader.headers()?.iter().map(column).collect::<anyhow::Result<Vec<_>>>()?;
    if !columns.iter().any(|column| matches!(column, Column::Photo | Column::PersonId)) {
        bail!("the first line names no column `photo`");
    }
    let mut source = Plan::of(tree.clone());
    let mut by_key: BTreeMap<String, usize> = BTreeMap::new();
    for row in reader.records() {
        let row = row?;
        let line = row.position().map_or(0, csv::Position::line) + above;
        if row.iter().all(str::is_empty) {
            continue;
        }
        let named = |n: usize| columns.get(n).is_some_and(|column| *column != Column::Nameless);
        if let Some((n, _)) = row.iter().enumerate().find(|(n, cell)| !cell.is_empty() && !named(*n)) {
            bail!("line {line} has something in column {}, which the first line does not name", n + 1);
        }
        let cells = || columns.iter().zip(row.iter()).filter(|(_, cell)| !cell.is_empty());
        let one = |wanted: Column| cells().find(|(column, _)| **column == wanted).map(|(_, cell)| cell.to_owned());
        let key = one(Column::Person).or_else(|| one(Column::PersonId));
        let key = key.unwrap_or_else(|| match name(&one) {
            Some(name) => format!("line {line} ({})", super::super::people::full_name(&name)),
            None => format!("line {line}"),
        });
        let index = *by_key.entry(key.clone()).or_insert_with(|| {
            source.people.push(Planned { key: key.clone(), folder: tree.path().into(), ..Planned::default() });
            source.people.len() - 1
        });
        let person = &mut source.people[index];
        if let Err(error) = add(person, cells(), name(&one), one(Column::PersonId), &tree, doors) {
            let reason = format!("line {line}: {error:#}");
            source.flaws.push(Flaw { person: key, photo: None, reason });
        }
    }
    Ok(source)
}

/// Adds a row to its person.
fn add<'a>(
    person: &mut Planned,
    cells: impl Iterator<Item = (&'a Column, &'a str)>,
    name: Option<PersonAlias>,
    person_id: Option<String>,
    tree: &Tree,
    doors: &Doors,
) -> anyhow::Result<()> {
    if let Some(id) = person_id
        && *person.person_id.get_or_insert_with(|| id.clone()) != id
    {
        bail!("the person has another person_id in a line before");
    }
    let record = &mut person.record;
    name.into_iter().for_each(|name| add_new(&mut record.aliases, name));
    for (column, cell) in cells {
        match column {
            Column::Photo => {
                for path in several(cell) {
                    let found = pictures(tree, &tree.path().join(path))?;
                    person.photos.extend(found.into_iter().map(|file| Photo { file, ..Photo::default() }));
                }
            }
            Column::Tag => {
                for text in several(cell) {
                    add_new(&mut record.tags, tag(text, doors)?);
                }
            }
            Column::Note => {
                add_new(&mut record.notes, PersonNote { body: Some(cell.into()), ..PersonNote::default() });
            }
            Column::Field(name) => {
                let field =
                    EntityField { name: name.clone(), string_value: Some(cell.into()), ..EntityField::default() };
                match record.entity_fields.iter().find(|known| text::same(&known.name, name)) {
                    Some(known) if known.string_value.as_deref() == Some(cell) => {}
                    Some(_) => bail!("the person has another value of field:{name} in a line before"),
                    None => record.entity_fields.push(field),
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Adds a part to a list that does not have it yet.
fn add_new<T: PartialEq>(list: &mut Vec<T>, part: T) {
    if !list.contains(&part) {
        list.push(part);
    }
}

/// The name a row gives, if any.
fn name(one: &dyn Fn(Column) -> Option<String>) -> Option<PersonAlias> {
    let whole = one(Column::Name).and_then(|name| alias(&name)).unwrap_or_default();
    let name = PersonAlias {
        person_alias_id: None,
        first_name: one(Column::FirstName).or(whole.first_name),
        last_name: one(Column::LastName).or(whole.last_name),
        middle_name: one(Column::MiddleName),
        title: one(Column::Title),
    };
    (name != PersonAlias::default()).then_some(name)
}

/// What the column of this name holds: `First Name`, `first_name` and `firstname` are the same, and so is `photos` to
/// `photo`.
fn column(name: &str) -> anyhow::Result<Column> {
    match name.split_once(':').map(|(kind, rest)| (kind.trim().to_lowercase(), rest.trim())) {
        Some((kind, field)) if kind == "field" && !field.is_empty() => return Ok(Column::Field(field.into())),
        Some((kind, _)) if kind == "ignore" => return Ok(Column::Ignored),
        _ => {}
    }
    let word = name.to_lowercase().replace([' ', '-', '_'], "");
    word.parse().or_else(|_| word.trim_end_matches('s').parse()).with_context(|| {
        format!(
            "the column `{name}` is not known; call it `field:{name}` to store it as a custom field, or \
             `ignore:{name}` to leave it out"
        )
    })
}

/// `VIP` or `Guest until 2026-12-31`: that day is the last one, to its end at the doors.
fn tag(text: &str, doors: &Doors) -> anyhow::Result<CarriedTag> {
    match text.rsplit_once(" until ") {
        None => Ok(CarriedTag { name: text.into(), expires: None }),
        Some((name, when)) => {
            let day = when.trim().parse().ok();
            let expires = day.map_or_else(|| parse_time(when), |day| doors.end_of(day));
            let expires = expires.with_context(|| format!("`{when}` is no date like 2026-12-31"))?;
            Ok(CarriedTag { name: name.trim().into(), expires: Some(expires) })
        }
    }
}

/// The parts of a cell that holds several.
fn several(cell: &str) -> impl Iterator<Item = &str> {
    cell.split([';', '|']).map(str::trim).filter(|part| !part.is_empty())
}

/// What a first line `sep=;` says that separates the columns, and the text below it.
fn separator(text: &str) -> (Option<u8>, &str) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    match first.trim_start_matches('"').as_bytes() {
        [s, e, p, b'=', separator, ..] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") && separator.is_ascii() => {
            (Some(*separator), rest)
        }
        _ => (None, text),
    }
}

/// What separates the columns: whichever of the three is most often in the first line.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let count = |delimiter: u8| first.bytes().filter(|byte| *byte == delimiter).count();
    // Of several equals the last counts: the comma.
    [b'\t', b';', b','].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn parsed(text: &str) -> anyhow::Result<Plan> {
        rows(text, Tree::open(Path::new("/")).unwrap(), &Doors::default())
    }

    fn refusal(text: &str) -> String {
        parsed(text).err().unwrap().to_string()
    }

    #[test]
    fn rows_become_people_whatever_separates_their_columns() {
        for text in [
            "photo,First Name,last_name,tags,field:Badge\na.jpg,Ada,Lovelace,VIP; Guest until 2026-12-31,C-1\n",
            "photo;First Name;last_name;tags;field:Badge\na.jpg;Ada;Lovelace;\"VIP; Guest until 2026-12-31\";C-1\r\n",
            "photo\tFirst Name\tlast_name\ttags\tfield:Badge\na.jpg\tAda\tLovelace\tVIP|Guest until 2026-12-31\tC-1",
        ] {
            let source = parsed(text).unwrap();
            let [person] = &source.people[..] else { panic!("{text}") };
            assert_eq!(person.key, "line 2 (Ada Lovelace)");
            assert_eq!(person.photos[0].file, PathBuf::from("/a.jpg"));
            let record = &person.record;
            assert_eq!(record.aliases[0].last_name.as_deref(), Some("Lovelace"));
            let tags: Vec<_> = record.tags.iter().map(|tag| (tag.name.as_str(), tag.expires.is_some())).collect();
            assert_eq!(tags, [("VIP", false), ("Guest", true)]);
            assert_eq!(record.entity_fields[0].string_value.as_deref(), Some("C-1"));
        }
    }

    #[test]
    fn what_excel_adds_and_leaves_out_makes_no_difference() {
        for text in [
            "sep=;\r\nphoto;name;field:Küche\r\n0.jpg;Jörg Müller;K\r\n1.jpg;Zoë Åberg;\r\n",
            "\"sep=;\"\nphoto;name;field:Küche;;\n0.jpg;Jörg Müller;K;;\n;;;;\n1.jpg;Zoë Åberg\n",
            "SEP=\t\nphoto\tname\tfield:Küche\n0.jpg\tJörg Müller\tK\n1.jpg\tZoë Åberg\t\t\n",
            "photo,name,field:Küche,,\n0.jpg,Jörg Müller,K,,\n1.jpg,Zoë Åberg,,,\n,,,,\n",
        ] {
            let source = parsed(text).unwrap();
            assert!(source.flaws.is_empty(), "{text}");
            let names: Vec<_> =
                source.people.iter().map(|person| person.record.aliases[0].last_name.as_deref()).collect();
            assert_eq!(names, [Some("Müller"), Some("Åberg")], "{text}");
            assert_eq!(source.people[0].record.entity_fields[0].name, "Küche");
        }
        assert_eq!(parsed("sep=;\nphoto;name\na.jpg;Ada\n").unwrap().people[0].key, "line 3 (Ada)");
    }

    #[test]
    fn a_file_is_read_in_the_encodings_that_excel_writes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("people.csv");
        let text = "photo;name\r\n0.jpg;Jörg Müller\r\n";
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let western = WINDOWS_1252.encode(text).0.into_owned();
        let marked = format!("\u{feff}{text}").into_bytes();
        for (bytes, notes) in [(text.as_bytes().to_vec(), 0), (marked, 0), (utf16.clone(), 0), (western, 1)] {
            std::fs::write(&file, bytes).unwrap();
            let source = read(&file, &Doors::default()).unwrap();
            assert_eq!(source.people[0].record.aliases[0].last_name.as_deref(), Some("Müller"));
            assert_eq!(source.notes.len(), notes);
        }
        // Without its mark nobody can tell what it is.
        std::fs::write(&file, &utf16[2..]).unwrap();
        assert!(format!("{:#}", read(&file, &Doors::default()).err().unwrap()).contains("CSV UTF-8"));
    }

    #[test]
    fn until_a_day_is_until_its_end_at_the_doors() {
        let doors = Doors::new(Some(chrono_tz::Tz::America__New_York), None);
        let expires = |text: &str| tag(text, &doors).unwrap().expires.unwrap().to_rfc3339();
        assert_eq!(expires("Guest until 2026-12-31"), "2027-01-01T05:00:00+00:00");
        assert_eq!(expires("Guest until 2026-12-31T18:00:00Z"), "2026-12-31T18:00:00+00:00");
    }

    #[test]
    fn rows_of_one_key_are_one_person_and_equal_names_alone_are_not() {
        let source =
            parsed("person,photo,name,tags\n7,a.jpg,John Smith,VIP\n8,b.jpg,John Smith,\n7,c.jpg|d.jpg,,VIP\n");
        let people: Vec<_> = source.unwrap().people.into_iter().map(|p| (p.key, p.photos.len())).collect();
        assert_eq!(people, [("7".to_owned(), 3), ("8".to_owned(), 1)]);
        let source = parsed("photo,name\na.jpg,John Smith\nb.jpg,John Smith\n").unwrap();
        assert_eq!(source.people.len(), 2);
    }

    #[test]
    fn what_contradicts_itself_is_told_with_its_line() {
        let source =
            parsed("person,photo,field:Badge,tags\n7,a.jpg,C-1,\n7,b.jpg,C-2,\n8,c.jpg,,VIP until soon\n").unwrap();
        let reasons: Vec<_> = source.flaws.iter().map(|flaw| flaw.reason.as_str()).collect();
        assert_eq!(reasons.len(), 2, "{reasons:?}");
        assert!(reasons[0].starts_with("line 3: ") && reasons[0].contains("field:Badge"), "{reasons:?}");
        assert!(reasons[1].contains("`soon` is no date"), "{reasons:?}");
    }

    #[test]
    fn a_file_that_means_something_else_is_refused_as_a_whole() {
        assert!(refusal("photo,Departmnt\n").contains("`field:Departmnt`"));
        assert!(refusal("name,tags\nAda,VIP\n").contains("no column `photo`"));
        assert!(refusal("photo,name,\na.jpg,Ada,VIP\n").contains("line 2 has something in column 3"));
        assert!(parsed("person_id,tags,ignore:salary\n2c9f,VIP,1\n").is_ok());
    }
}
