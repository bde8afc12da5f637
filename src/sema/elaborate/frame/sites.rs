//! The times at which runs are looked at.

use super::{Frame, Input, Moment, World};
use crate::base::span::Span;
use crate::ir::func::{Func, ValueId};
use crate::ir::system::{Site, SiteKind};
use crate::sema::elaborate::{Made, named_site};
use crate::sema::typed::Expr;

/// The evaluation sites of one run, found while other functions are made.
pub(in crate::sema::elaborate) struct Sites<'m> {
    frame: Frame<'m, 'm>,
    sites: Vec<(Site, Option<ValueId>)>,
}

impl<'m> Sites<'m> {
    pub fn new(world: World<'m>) -> Sites<'m> {
        Sites { frame: Frame::new("times", world, Moment::Never), sites: Vec::new() }
    }

    /// The number of the site for these times; equal expressions share one.
    pub(super) fn site(&mut self, time: &'m Expr, loops: &[(u32, i64)]) -> Made<usize> {
        let kind = named_site(time);
        let value = match kind {
            Some(_) => None,
            None => {
                self.frame.loops = loops.to_vec();
                Some(self.frame.value(time)?)
            }
        };
        let kind = kind.unwrap_or(SiteKind::Times);
        if let Some(known) = self.sites.iter().position(|(site, other)| site.kind == kind && *other == value)
        {
            return Ok(known);
        }
        let count = value.and_then(|value| self.frame.b.shape(value).dims().first().copied());
        self.sites.push((Site { kind, count, span: time.span }, value));
        Ok(self.sites.len() - 1)
    }

    /// The number of the site at the end of the run.
    pub(super) fn end(&mut self, span: Span) -> usize {
        if let Some(known) = self.sites.iter().position(|(site, _)| site.kind == SiteKind::End) {
            return known;
        }
        self.sites.push((Site { kind: SiteKind::End, count: None, span }, None));
        self.sites.len() - 1
    }

    /// How many times a site has, if it is a vector.
    pub(super) fn count(&self, site: usize) -> Option<usize> {
        self.sites[site].0.count
    }

    /// The function of the times, its inputs, the sites.
    pub fn finish(self) -> (Func, Vec<Input>, Vec<Site>) {
        let named = self
            .sites
            .iter()
            .enumerate()
            .filter_map(|(n, (_, value))| Some((format!("site {n}").into(), (*value)?)));
        let results = named.collect();
        let (func, order) = self.frame.finish(results);
        (func, order, self.sites.into_iter().map(|(site, _)| site).collect())
    }
}

/// The evaluation sites of every run, by number.
pub(in crate::sema::elaborate) type AllSites<'m> = Vec<Sites<'m>>;
