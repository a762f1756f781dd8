//! Golden vectors: bytes that other releases and other programs rely on. They stand in a text file
//! of the tests, and a document quotes them: where code, file and document differ, a test fails.
//!
//! `UPDATE_GOLDEN=1 cargo test -p CRATE golden` writes file and document anew. Whoever does that
//! changes a format, and reads first what the document says of compatibility.
//!
//! The crates that have formats share this file by its path.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Where vectors stand, and how they are laid out there.
pub struct Golden {
    /// The file, in the crate's `tests/golden`.
    pub file: &'static str,
    /// The document, in `docs`. A block that opens with "```text" and the file's name quotes.
    pub document: &'static str,
    /// Bytes that are written without a space between them.
    pub word: usize,
}

/// A value and the bytes that it has, for ever.
pub struct Vector {
    /// Names it, and no other one of its file.
    pub name: String,
    /// The value, in words.
    pub value: String,
    pub bytes: Vec<u8>,
}

/// Tests of one program write one after another.
static WRITES: Mutex<()> = Mutex::new(());

impl Vector {
    pub fn new(name: impl Into<String>, value: impl Into<String>, bytes: Vec<u8>) -> Vector {
        Vector { name: name.into(), value: value.into(), bytes }
    }

    /// A value whose name is made of `of` and of the variants that its debug form begins with,
    /// `depth` of them at most.
    pub fn variant(of: &str, depth: usize, value: String, bytes: Vec<u8>) -> Vector {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let mut names: Vec<&str> = if of.is_empty() { Vec::new() } else { vec![of] };
        for word in value.split('(').take(depth) {
            let name = &word[..word.find(|c| !part(c)).unwrap_or(word.len())];
            if name.starts_with(char::is_uppercase) && names.last() != Some(&name) {
                names.push(name);
            }
        }
        Vector { name: names.join("."), value, bytes }
    }
}

impl Golden {
    /// Compares the vectors with the file, and the document with both.
    pub fn check(&self, mut vectors: Vec<Vector>) {
        number(&mut vectors);
        let made: Vec<(String, String)> =
            vectors.iter().map(|vector| (vector.name.clone(), self.text(vector))).collect();
        let document = root().join("docs").join(self.document);
        if std::env::var("UPDATE_GOLDEN").is_ok_and(|flag| flag == "1") {
            let _one_at_a_time = WRITES.lock().unwrap();
            let text = made.iter().fold(self.head(), |text, (_, vector)| text + vector);
            fs::create_dir_all(self.path().parent().unwrap()).unwrap();
            fs::write(self.path(), text).unwrap();
            let quoted = self.quote(&fs::read_to_string(&document).unwrap(), &made);
            return fs::write(document, quoted).unwrap();
        }
        let written = parse(&fs::read_to_string(self.path()).unwrap_or_default());
        let mut wrong = differences(self.file, &written, &made);
        let text = fs::read_to_string(&document).unwrap();
        if self.quote(&text, &made) != text {
            wrong.push(format!("docs/{} does not quote {} as it is", self.document, self.file));
        }
        assert!(
            wrong.is_empty(),
            "{}\n`UPDATE_GOLDEN=1 cargo test -p {} golden` writes anew; before that, read what \
             docs/{} says of compatibility",
            wrong.join("\n"),
            env!("CARGO_PKG_NAME"),
            self.document
        );
    }

    /// The vectors of the file: name and bytes.
    pub fn read(&self) -> Vec<(String, Vec<u8>)> {
        let written = parse(&fs::read_to_string(self.path()).unwrap());
        written.into_iter().map(|(name, text)| (name, bytes(&text))).collect()
    }

    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(self.file)
    }

    fn head(&self) -> String {
        format!(
            "# Bytes in hexadecimal, and behind # the value that they are; quoted in docs/{}.\n\
             # UPDATE_GOLDEN=1 cargo test -p {} golden\n",
            self.document,
            env!("CARGO_PKG_NAME")
        )
    }

    /// `name: bytes`, in rows where they do not fit a line, and the value.
    fn text(&self, Vector { name, value, bytes }: &Vector) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let words: Vec<String> = bytes.chunks(self.word).map(hex).collect();
        let mut text = format!("{name}: {}\n", words.join(" "));
        if text.len() > 90 {
            let rows = words.chunks(if self.word == 1 { 24 } else { 4 });
            text =
                rows.fold(format!("{name}:\n"), |text, row| text + "    " + &row.join(" ") + "\n");
        }
        let mut line = String::from("    #");
        for word in value.split(' ') {
            if line.len() + word.len() > 90 {
                text += &std::mem::replace(&mut line, String::from("    #"));
                text += "\n";
            }
            line = line + " " + word;
        }
        text + &line + "\n"
    }

    /// The document with each vector that it quotes as it is now. The ones that it lacks go to the
    /// end of the last block.
    fn quote(&self, document: &str, made: &[(String, String)]) -> String {
        let opening = format!("```text {}", self.file);
        let mut text = String::new();
        let (mut quoted, mut last_end) = (Vec::new(), None);
        let mut lines = document.lines();
        while let Some(line) = lines.next() {
            text = text + line + "\n";
            if line != opening {
                continue;
            }
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            for (name, _) in parse(&block.join("\n")) {
                text.extend(made.iter().filter(|(n, _)| *n == name).map(|(_, vector)| &**vector));
                quoted.push(name);
            }
            last_end = Some(text.len());
            text += "```\n";
        }
        let missing = made.iter().filter(|(name, _)| !quoted.contains(name));
        let missing: String = missing.map(|(_, vector)| &**vector).collect();
        let end = last_end.unwrap_or_else(|| panic!("{} has no {opening}", self.document));
        text.insert_str(end, &missing);
        text
    }
}

/// Numbers the vectors whose name was there before.
fn number(vectors: &mut [Vector]) {
    let names: Vec<String> = vectors.iter().map(|vector| vector.name.clone()).collect();
    for (at, vector) in vectors.iter_mut().enumerate() {
        let before = names[..at].iter().filter(|name| **name == vector.name).count();
        if before > 0 {
            vector.name += &format!(".{}", before + 1);
        }
    }
}

/// What is not in the file as it is made.
fn differences(file: &str, written: &[(String, String)], made: &[(String, String)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, text) in made {
        match written.iter().find(|(n, _)| n == name) {
            None => wrong.push(format!("{file} has no {name}, which now is\n{text}")),
            Some((_, known)) if bytes(known) != bytes(text) => {
                wrong.push(format!("{file}: this was written down\n{known}this is made\n{text}"));
            }
            Some((_, known)) if known != text => {
                wrong.push(format!("{file}: {name} has the same bytes, in other words\n{text}"));
            }
            Some(_) => {}
        }
    }
    let gone = written.iter().filter(|(name, _)| !made.iter().any(|(n, _)| n == name));
    wrong.extend(gone.map(|(name, _)| format!("{file}: nothing makes {name} any more")));
    wrong
}

/// Name and text of each vector. A line that is not indented begins one.
fn parse(text: &str) -> Vec<(String, String)> {
    let mut vectors: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        match (line.starts_with(' '), vectors.last_mut()) {
            (true, Some((_, text))) => *text = text.clone() + line + "\n",
            _ => {
                let name = line.split(':').next().unwrap().to_owned();
                vectors.push((name, line.to_owned() + "\n"));
            }
        }
    }
    vectors
}

fn bytes(text: &str) -> Vec<u8> {
    let (_, text) = text.split_once(':').unwrap();
    let rows = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let digits: String = rows.flat_map(str::split_whitespace).collect();
    let pairs = digits.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("two hexadecimal digits")).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
