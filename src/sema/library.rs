//! The texts that a program is made of: its own file, and the modules that it uses.
//!
//! The standard library is `.node` files inside the binary; a module of it is parsed when a
//! program uses it. Other files are read by whoever loads the program, through a function that is
//! passed in.

use crate::base::span::{SourceId, Sources, Span};
use crate::diag::Sink;
use crate::sema::errors;
use crate::sema::resolve::nearest;
use crate::syntax::ast::{self, ItemKind, Use};
use crate::syntax::tree;
use std::collections::BTreeMap;
use std::sync::Arc;

macro_rules! library {
    ($($name:literal)*) => {
        /// The modules of the standard library: name and text, by name.
        pub const MODULES: &[(&str, &str)] = &[$(
            ($name, include_str!(concat!("../../stdlib/", $name, ".node"))),
        )*];
    };
}

library! { "activations" "distributions" "flows" "layers" "losses" "regularizers" "systems" "toy" }

/// Most files that one program may use.
const MAX_FILES: usize = 256;

/// How files beside a program are read: given the path as written (from the folder of the
/// program), their text or why there is none.
pub type Reader<'r> = dyn FnMut(&str) -> Result<String, String> + 'r;

/// A program and what it uses.
#[derive(Clone, Debug)]
pub struct Files {
    /// The program.
    pub main: Arc<ast::File>,
    /// The program as a system: `main`. Its items are those of the file.
    pub(crate) whole: ast::Container,
    /// The files it uses, each behind those that it uses itself.
    pub used: Vec<Arc<ast::File>>,
    /// Which file a `use` names, by where it stands. A `use` that failed is not here.
    links: BTreeMap<(SourceId, u32), usize>,
}

impl Files {
    /// Parses every file that `main` uses, directly or through others. What is wrong with a `use`,
    /// or with the text it names, goes to `sink`.
    pub fn gather(
        main: Arc<ast::File>,
        sources: &mut Sources,
        sink: &mut Sink,
        read: &mut Reader<'_>,
    ) -> Files {
        let mut gathering = Gathering {
            sources,
            sink,
            read,
            used: Vec::new(),
            links: BTreeMap::new(),
            known: BTreeMap::new(),
            underway: Vec::new(),
        };
        gathering.uses(&main, "");
        let (used, links) = (gathering.used, gathering.links);
        let span = Span { source: main.source, lo: 0, hi: 0 };
        let name = ast::Ident { name: "main".into(), span };
        let whole = ast::Container { name, generics: Vec::new(), params: None, items: Vec::new() };
        Files { main, whole, used, links }
    }

    /// The same files, of the program only what can stand by itself: consts, lets, functions, layers,
    /// systems and what it uses.
    pub(crate) fn definitions(&self) -> Files {
        let stands = |item: &&ast::Item| match &item.kind {
            ItemKind::Const(_) | ItemKind::Let(_) | ItemKind::Fn(_) | ItemKind::Use(_) => true,
            ItemKind::Layer(_) | ItemKind::System(_) => true,
            ItemKind::Input(_) | ItemKind::Output(_) | ItemKind::Param(_) => false,
            ItemKind::Time { .. } | ItemKind::State(_) | ItemKind::Algebraic(_) => false,
            ItemKind::Discrete(_) | ItemKind::Channel { .. } | ItemKind::Equation { .. } => false,
            ItemKind::Event(_) | ItemKind::Noise { .. } | ItemKind::Control { .. } => false,
            ItemKind::Data(_) | ItemKind::Random { .. } | ItemKind::Likelihood { .. } => false,
            ItemKind::Loss { .. } | ItemKind::Metric { .. } | ItemKind::Plot { .. } => false,
            ItemKind::Export { .. } | ItemKind::Settings { .. } | ItemKind::Profile { .. } => false,
            ItemKind::Sweep { .. } | ItemKind::Ensemble { .. } | ItemKind::Error => false,
        };
        let items = self.main.items.iter().filter(stands).cloned().collect();
        self.with_main(ast::File { source: self.main.source, items })
    }

    /// The same with other items in the program, none of which is a `use` that was not there.
    pub(crate) fn with_main(&self, main: ast::File) -> Files {
        Files { main: Arc::new(main), ..self.clone() }
    }

    /// The file that the `use` at `span` names.
    pub(crate) fn linked(&self, span: Span) -> Option<usize> {
        self.links.get(&(span.source, span.lo)).copied()
    }
}

struct Gathering<'g> {
    sources: &'g mut Sources,
    sink: &'g mut Sink,
    read: &'g mut Reader<'g>,
    used: Vec<Arc<ast::File>>,
    links: BTreeMap<(SourceId, u32), usize>,
    /// The files read so far, by the name that messages show; `None` for one that failed.
    known: BTreeMap<String, Option<usize>>,
    /// The files being read, outermost first, with the `use` that asks for them.
    underway: Vec<(String, Span)>,
}

impl Gathering<'_> {
    /// Follows the `use` items of `file`, which lies in `folder` (empty, or ending in `/`).
    fn uses(&mut self, file: &ast::File, folder: &str) {
        for item in &file.items {
            let ItemKind::Use(used) = &item.kind else { continue };
            if let Some(number) = self.used(used, item.span, folder) {
                self.links.insert((item.span.source, item.span.lo), number);
            }
        }
    }

    fn used(&mut self, used: &Use, item: Span, folder: &str) -> Option<usize> {
        let (name, span) = match used {
            Use::Module { path, .. } => match path.parts.as_slice() {
                [std, module] if &*std.name == "std" => (format!("std/{}.node", module.name), module.span),
                parts => {
                    let suggestion = (parts.len() == 1).then(|| format!("std.{}", parts[0].name));
                    let is_there = |(name, _): &(&str, &str)| *name == &*parts[0].name;
                    let suggestion = suggestion.filter(|_| MODULES.iter().any(is_there));
                    self.sink.report(errors::not_a_module(path.span, suggestion));
                    return None;
                }
            },
            Use::File { file, .. } => (format!("{folder}{}", file.value), file.span),
        };
        if let Some(position) = self.underway.iter().position(|(other, _)| *other == name) {
            let chain: Vec<(String, Span)> = self.underway[position..].to_vec();
            self.sink.report(errors::modules_in_a_circle(&name, item, &chain[1..]));
            return None;
        }
        if let Some(known) = self.known.get(&name) {
            return *known;
        }
        let number = self.text_of(used, &name, span).and_then(|text| self.parsed(&name, &text, item));
        self.known.insert(name, number);
        number
    }

    fn text_of(&mut self, used: &Use, name: &str, span: Span) -> Option<String> {
        if self.known.len() >= MAX_FILES {
            self.sink.report(errors::too_large(span, "the list of used files", MAX_FILES));
            return None;
        }
        let diagnostic = match used {
            Use::Module { path, .. } => {
                let module = &*path.parts[1].name;
                match MODULES.iter().find(|(known, _)| *known == module) {
                    Some((_, text)) => return Some((*text).to_owned()),
                    None => {
                        let similar = nearest(module, MODULES.iter().map(|(name, _)| *name));
                        let known: Vec<&str> = MODULES.iter().map(|(name, _)| *name).collect();
                        errors::unknown_module(span, module, similar.map(|at| known[at]), &known)
                    }
                }
            }
            Use::File { .. } => match (self.read)(name) {
                Ok(text) => return Some(text),
                Err(why) => errors::unreadable_module(span, name, &why),
            },
        };
        self.sink.report(diagnostic);
        None
    }

    fn parsed(&mut self, name: &str, text: &str, item: Span) -> Option<usize> {
        let source = self.sources.add(name, text);
        let mut own = Sink::new();
        let file = tree(source, text, &mut own);
        let failed = own.has_errors();
        own.into_diagnostics().into_iter().for_each(|diagnostic| self.sink.report(diagnostic));
        if failed {
            return None;
        }
        let folder = name.rfind('/').map_or("", |at| &name[..=at]);
        self.underway.push((name.to_owned(), item));
        self.uses(&file, folder);
        self.underway.pop();
        self.used.push(Arc::new(file));
        Some(self.used.len() - 1)
    }
}
