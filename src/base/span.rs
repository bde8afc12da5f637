//! Places in source text.
//!
//! A [`Span`] is a byte range in one source; [`Sources`] owns the texts and turns offsets into
//! lines and columns. Programs, the standard library, data files and the command line are all
//! sources, so that every message can point at what it speaks of.

use crate::base::index::IndexVec;
use std::sync::Arc;

crate::index_type!(
    /// One source text of a [`Sources`].
    SourceId, "source"
);

/// The bytes `lo..hi` of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Which text.
    pub source: SourceId,
    /// First byte.
    pub lo: u32,
    /// One past the last byte.
    pub hi: u32,
}

impl Span {
    /// The bytes `lo..hi` of `source`.
    pub fn new(source: SourceId, lo: usize, hi: usize) -> Span {
        let narrow = |at: usize| u32::try_from(at).expect("sources are shorter than 4 GiB");
        Span { source, lo: narrow(lo), hi: narrow(hi) }
    }

    /// The smallest span that holds both. Both must lie in one source; otherwise `self`.
    pub fn to(self, other: Span) -> Span {
        if self.source != other.source {
            return self;
        }
        Span { source: self.source, lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    /// The byte range.
    pub fn range(self) -> std::ops::Range<usize> {
        self.lo as usize..self.hi as usize
    }
}

/// A line and a column, both counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

#[derive(Clone, Debug)]
struct Source {
    name: Arc<str>,
    text: Arc<str>,
    line_starts: Vec<u32>,
}

/// The texts that spans point into.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    sources: IndexVec<SourceId, Source>,
}

impl Sources {
    /// No sources yet.
    pub fn new() -> Sources {
        Sources::default()
    }

    /// Adds a text under the name that messages show.
    pub fn add(&mut self, name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> SourceId {
        let text: Arc<str> = text.into();
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(newlines.map(|(at, _)| at as u32 + 1)).collect();
        self.sources.push(Source { name: name.into(), text, line_starts })
    }

    /// The name messages show for `source`.
    pub fn name(&self, source: SourceId) -> &str {
        &self.sources[source].name
    }

    /// The whole text of `source`.
    pub fn text(&self, source: SourceId) -> &str {
        &self.sources[source].text
    }

    /// The text that `span` covers.
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.source).get(span.range()).unwrap_or("")
    }

    /// Where byte `offset` of `source` lies.
    pub fn position(&self, source: SourceId, offset: u32) -> Position {
        let source = &self.sources[source];
        let line = source.line_starts.partition_point(|start| *start <= offset) - 1;
        let start = source.line_starts[line] as usize;
        let before = source.text.get(start..offset as usize).unwrap_or("");
        Position { line: line + 1, column: before.chars().count() + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_start_after_newlines() {
        let mut sources = Sources::new();
        let id = sources.add("a.node", "σ = 1\nx' = σ\n");
        assert_eq!(sources.position(id, 0), Position { line: 1, column: 1 });
        assert_eq!(sources.position(id, 3), Position { line: 1, column: 3 });
        assert_eq!(sources.position(id, 7), Position { line: 2, column: 1 });
        assert_eq!(sources.slice(Span::new(id, 0, 2)), "σ");
    }
}
