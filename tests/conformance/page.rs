//! Pages: Markdown to cases, and a block of a page rewritten.

use std::path::Path;

/// A page.
pub struct Page {
    /// Its cases in their order.
    pub cases: Vec<Case>,
}

/// A heading with what stands below it.
#[derive(Clone)]
pub struct Case {
    /// The heading.
    pub title: String,
    /// The fenced blocks.
    pub blocks: Vec<Block>,
}

/// A fenced block.
#[derive(Clone)]
pub struct Block {
    /// What stands after the fence.
    pub info: String,
    /// The text, every line ended.
    pub text: String,
    /// The numbers of its first line in the page and of the closing fence, from 0.
    pub lines: std::ops::Range<usize>,
}

impl Page {
    /// Reads the page at `path`. Panics where it is not a page: a mistake of its writer.
    pub fn read(path: &Path) -> Page {
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.first().is_some_and(|line| line.starts_with("# ")), "{}: no title", path.display());
        let mut cases: Vec<Case> = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            if let Some(title) = lines[at].strip_prefix("## ") {
                cases.push(Case { title: title.trim().to_owned(), blocks: Vec::new() });
            } else if let Some(info) = lines[at].strip_prefix("```") {
                let length = lines[at + 1..].iter().position(|line| *line == "```");
                let end = at + 1 + length.unwrap_or_else(|| panic!("{}: open block", path.display()));
                let text = lines[at + 1..end].iter().flat_map(|line| [*line, "\n"]).collect();
                if let Some(case) = cases.last_mut() {
                    case.blocks.push(Block { info: info.trim().to_owned(), text, lines: at + 1..end });
                }
                at = end;
            }
            at += 1;
        }
        assert!(!cases.is_empty(), "{}: no case", path.display());
        Page { cases }
    }
}

impl Page {
    /// The examples in the documentation of a module of the standard library: a case for each item,
    /// which must have one.
    pub fn of_module(path: &Path) -> Page {
        let text = std::fs::read_to_string(path).unwrap();
        let mut cases = Vec::new();
        let (mut docs, mut first) = (Vec::new(), 0);
        for (at, line) in text.lines().enumerate() {
            if let Some(doc) = line.strip_prefix("##") {
                if docs.is_empty() {
                    first = at;
                }
                docs.push(doc.strip_prefix(' ').unwrap_or(doc));
                continue;
            }
            let mut words = line.split(['[', '(', ' ']);
            if let (Some("fn" | "layer" | "system" | "const"), Some(name)) = (words.next(), words.next()) {
                let block = example(&docs, first);
                let block = block.unwrap_or_else(|| panic!("{}: `{name}` has no example", path.display()));
                cases.push(Case { title: name.to_owned(), blocks: vec![block] });
            }
            docs.clear();
        }
        Page { cases }
    }
}

/// The first program in the lines of a documentation that begins at line `first`.
fn example(docs: &[&str], first: usize) -> Option<Block> {
    let start = docs.iter().position(|line| *line == "```node")? + 1;
    let end = start + docs[start..].iter().position(|line| *line == "```")?;
    let text = docs[start..end].iter().flat_map(|line| [*line, "\n"]).collect();
    Some(Block { info: "node".to_owned(), text, lines: first + start..first + end })
}

impl Case {
    /// The heading as the name of a test.
    pub fn slug(&self) -> String {
        let dashed: String = self
            .title
            .chars()
            .map(|c| if c.is_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let words: Vec<&str> = dashed.split('-').filter(|word| !word.is_empty()).collect();
        words.join("-")
    }

    /// The one block of this kind.
    pub fn block(&self, info: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| block.info == info)
    }

    /// The program.
    pub fn program(&self) -> &str {
        let programs = self.blocks.iter().filter(|block| block.info == "node").count();
        assert_eq!(programs, 1, "{}: a case has one program", self.title);
        &self.block("node").expect("it has one").text
    }

    /// Whether it is about errors, so that nothing is computed.
    pub fn expects_messages(&self) -> bool {
        self.block("diagnostics").is_some() || self.program().contains("# error[")
    }
}

/// Writes `texts` into the blocks that stand at `ranges` of lines.
pub fn rewrite(path: &Path, mut texts: Vec<(std::ops::Range<usize>, String)>) {
    let page = std::fs::read_to_string(path).unwrap();
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    texts.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    for (range, text) in texts {
        lines.splice(range, text.lines().map(str::to_owned));
    }
    std::fs::write(path, lines.join("\n") + "\n").unwrap();
}
