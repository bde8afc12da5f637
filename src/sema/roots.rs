//! What a file asks for: terms of the objective, metrics, outputs, pictures; and the whole model.

use crate::base::span::Span;
use crate::ir::program::{Export, Heat, Plot, PortSource, Role, Series};
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::heatmap::heatmap_args;
use crate::sema::infer::to_real;
use crate::sema::phase::reach;
use crate::sema::prelude::Reduction;
use crate::sema::resolve::{Binding, Checker};
use crate::sema::typed::{
    Channel, CurveRoot, DefId, DefKind, Dynamics, Expr, Kind, Many, Model, Param, Phase, Pick, Port, RunRoot,
    State, Ty,
};
use crate::sema::{checks, equations, typed};
use crate::syntax::ast::{self, Arg, ExprKind, ItemKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What has been asked for so far.
#[derive(Default)]
pub(crate) struct Roots {
    pub results: Vec<RunRoot>,
    curves: Vec<CurveRoot>,
    plots: Vec<Plot>,
    exports: Vec<Export>,
    many: Many,
    /// Names of loss terms and metrics.
    terms: Vec<(Arc<str>, Span)>,
}

impl<'a> Checker<'a> {
    /// The meaning of the whole file; `None` if something is wrong with it.
    pub(crate) fn model(&mut self) -> Option<Model> {
        self.refuse_what_is_not_built();
        self.look_into_everything();
        let mut params = Vec::new();
        self.params(&mut params);
        let ports = self.ports();
        let is_system = self.is_system();
        if is_system {
            let system = self.system(&"main".into());
            self.systems.push((None, system));
        }
        self.look_into_instances();
        let mut roots = Roots::default();
        self.terms(&params, &mut roots);
        self.outputs(&mut roots);
        self.plots(&mut roots);
        roots.exports = self.exports(&mut roots);
        roots.many = self.many();
        self.look_into_instances();
        if self.systems.is_empty() && !self.failed {
            let span = Span { source: self.files.main.source, lo: 0, hi: 0 };
            self.report(errors::no_time(span));
        }
        self.assembled(params, ports, roots, is_system)
    }

    /// What has been found, put together; `None` if something is wrong with it.
    pub(crate) fn assembled(
        &mut self,
        mut params: Vec<Option<Param>>,
        mut ports: Vec<Option<Port>>,
        roots: Roots,
        is_system: bool,
    ) -> Option<Model> {
        self.params_of_anonymous_systems(&mut params);
        if self.failed {
            return None;
        }
        self.report_open_sizes();
        let ragged = self.lengths();
        let states: Vec<State> = std::mem::take(&mut self.all_states).into_iter().collect::<Option<_>>()?;
        let channels: Vec<Channel> =
            std::mem::take(&mut self.all_channels).into_iter().collect::<Option<_>>()?;
        let dynamics: Vec<Dynamics> = self
            .systems
            .iter()
            .filter_map(|(_, system)| system.as_ref().map(|system| system.dynamics.clone()))
            .collect();
        let moves = states.iter().flat_map(|state| state.start.iter().chain(&state.rate));
        let moves = moves.chain(dynamics.iter().flat_map(equations::of_dynamics));
        let gathers = channels.iter().map(|channel| &channel.rate);
        let values = roots.results.iter().map(|root| &root.value);
        let curves = roots.curves.iter().map(|root| &root.value);
        self.ragged_is_fine(&moves.chain(gathers).chain(values).chain(curves).collect::<Vec<_>>());
        if self.failed {
            return None;
        }
        ports.extend(std::mem::take(&mut self.late_ports).into_values().map(Some));
        let mut numbers = BTreeMap::new();
        let mut systems = Vec::new();
        for (number, (instance, system)) in std::mem::take(&mut self.systems).into_iter().enumerate() {
            systems.push(system?);
            numbers.extend(instance.map(|instance| (instance, number)));
        }
        let calls = self.calls_of_systems(&numbers)?;
        let params: Vec<Param> = params.into_iter().collect::<Option<_>>()?;
        let ports: Vec<Port> = ports.into_iter().collect::<Option<_>>()?;
        if let Some(circle) = equations::circle(&self.defs, &states) {
            let chain: Vec<(String, Span)> = circle
                .iter()
                .map(|number| (self.defs[states[*number].def].name.to_string(), states[*number].equation))
                .collect();
            return self.fail(errors::circular_primes(&chain));
        }
        let role_order = |root: &RunRoot| match root.role {
            Role::Loss => 0,
            Role::Likelihood => 1,
            Role::Prior => 2,
            Role::Metric => 3,
            Role::Output => 4,
            Role::Plot => 5,
        };
        // The plots index the results, so those keep their order behind all others.
        let n_plot = roots.results.iter().filter(|root| root.role == Role::Plot).count();
        let first_plot = roots.results.len() - n_plot;
        let mut results = roots.results;
        results.sort_by_key(role_order);
        let mut plots = roots.plots;
        for plot in &mut plots {
            for series in &mut plot.series {
                match series {
                    Series::Points { x, y, label: _ } | Series::Runs { x, y, label: _, along: _ } => {
                        *x += first_plot;
                        *y += first_plot;
                    }
                    Series::Heat(heat) => heat.value += first_plot,
                    Series::Line { .. } => {}
                }
            }
        }
        for (number, param) in params.iter().enumerate() {
            self.defs[param.def].kind = DefKind::Param(number);
        }
        for def in self.defs.ids().collect::<Vec<_>>() {
            self.defs[def].ty = self.settled_ty(self.defs[def].ty.clone());
        }
        let sizes = self.found_sizes();
        let instances = self.instances.iter().map(|instance| typed::Instance {
            path: instance.path.clone(),
            name: instance.template.container.name.name.clone(),
            is_system: instance.template.is_system,
            sizes: instance.sizes.iter().map(|size| self.settled(size)).collect(),
            span: instance.span,
        });
        let instances = instances.collect();
        let defs = std::mem::take(&mut self.defs);
        let model = Model {
            defs,
            sizes,
            ragged,
            instances,
            systems,
            main: is_system.then_some(0),
            calls,
            params,
            ports,
            states,
            channels,
            results,
            curves: roots.curves,
            plots,
            exports: roots.exports,
            many: roots.many,
        };
        for message in checks::foreign(&model).into_iter().chain(equations::misused_primes(&model)) {
            self.report(message);
        }
        if self.failed {
            return None;
        }
        self.warn(&model);
        Some(model)
    }

    /// Whether the file itself moves.
    fn is_system(&mut self) -> bool {
        self.items().iter().any(|item| {
            matches!(
                item.kind,
                ItemKind::State(_)
                    | ItemKind::Algebraic(_)
                    | ItemKind::Discrete(_)
                    | ItemKind::Time { .. }
                    | ItemKind::Channel { .. }
                    | ItemKind::Equation { .. }
                    | ItemKind::Event(_)
            )
        })
    }

    fn refuse_what_is_not_built(&mut self) {
        let items = self.items();
        for item in items {
            let head = |len: usize| Span { hi: item.span.hi.min(item.span.lo + len as u32), ..item.span };
            match &item.kind {
                ItemKind::Error => self.failed = true,
                ItemKind::Fn(function) if function.name.is_none() => {
                    let what = "a function without a name outside a layer is";
                    self.report(errors::not_yet(head(2), what, "give it a name"));
                }
                ItemKind::Use(_) | ItemKind::Layer(_) | ItemKind::System(_) | ItemKind::Fn(_) => {}
                ItemKind::Const(_) | ItemKind::Input(_) | ItemKind::Output(_) | ItemKind::Param(_) => {}
                ItemKind::Algebraic(_) | ItemKind::Discrete(_) | ItemKind::Event(_) => {}
                ItemKind::Noise { .. } | ItemKind::Control { .. } | ItemKind::Export { .. } => {}
                ItemKind::State(_) | ItemKind::Time { .. } | ItemKind::Let(_) | ItemKind::Data(_) => {}
                ItemKind::Random { .. } | ItemKind::Sweep { .. } | ItemKind::Ensemble { .. } => {}
                ItemKind::Channel { .. } | ItemKind::Loss { .. } | ItemKind::Metric { .. } => {}
                ItemKind::Plot { .. } | ItemKind::Settings { .. } | ItemKind::Profile { .. } => {}
                ItemKind::Equation { .. } | ItemKind::Likelihood { .. } => {}
            }
        }
    }

    /// Looks into every declaration of this space, used or not.
    pub(crate) fn look_into_everything(&mut self) {
        for place in 0..self.space().globals.len() {
            let (_, global) = self.space().globals.at(place);
            self.global_at(place, global.span);
        }
    }

    fn ports(&mut self) -> Vec<Option<Port>> {
        let items = self.items();
        let mut ports = Vec::new();
        let mut set = 0;
        for item in items {
            match &item.kind {
                ItemKind::Input(decls) => {
                    for decl in decls {
                        ports.push(match self.global(&decl.name.name, decl.name.span) {
                            Some(Binding::Value(def)) => {
                                let def = self.port_of(def);
                                let default = self.defs[def].value.clone();
                                Some(Port { def, default, batch: false, source: PortSource::Given })
                            }
                            _ => None,
                        });
                    }
                }
                ItemKind::Data(_) => {
                    self.data_set(set);
                    let fields = self.data_sets[set].fields.clone().unwrap_or_default();
                    let batch = self.data_sets[set].data.fields.iter().map(|field| field.batch().is_some());
                    let each = fields.into_iter().zip(batch);
                    ports.extend(each.map(|(def, batch)| {
                        Some(Port { def: def?, default: None, batch, source: PortSource::Given })
                    }));
                    set += 1;
                }
                _ => {}
            }
        }
        ports
    }

    pub(crate) fn interval(&mut self) -> Option<(DefId, (Expr, Expr))> {
        let Some((name, interval)) = self.space().time else {
            let items = self.items();
            if let Some(item) = items.iter().find(|item| matches!(item.kind, ItemKind::State(_))) {
                return self.fail(errors::no_time(item.span));
            }
            let span = match items.first() {
                Some(item) if self.space().instance.is_some() => item.span,
                _ => Span { source: self.files.main.source, lo: 0, hi: 0 },
            };
            return self.fail(errors::no_time(span));
        };
        let Some(Binding::Value(time)) = self.global(&name.name, name.span) else { return None };
        let what = "the time interval";
        let (lo, hi) = match &interval.unparenthesised().kind {
            ExprKind::Range(lo, hi) => (self.infer(lo, self.home())?, self.infer(hi, self.home())?),
            ExprKind::Call { callee, args } if matches!(&callee.kind, ExprKind::Name(name) if &**name == "span") =>
            {
                let [Arg::Positional(times)] = args.as_slice() else {
                    return self.fail(errors::wrong_arguments(interval.span, "span", "one vector of times"));
                };
                let times = to_real(self.infer(times, self.home())?);
                if times.ty.is_scalar() {
                    return self.fail(errors::wrong_operand(
                        "span",
                        times.span,
                        "a vector of times",
                        &times.ty,
                        None,
                    ));
                }
                let axes: Vec<u32> = (0..times.ty.dims.len() as u32).collect();
                let end = |reduction, times: Expr| {
                    crate::sema::infer::reduced(reduction, times, axes.clone(), interval.span)
                };
                (end(Reduction::Min, times.clone()), end(Reduction::Max, times))
            }
            _ => {
                return self.fail(errors::wrong_kind(
                    interval.span,
                    "this is not an interval",
                    "a range such as `0..10`, or `span(obs.t)`",
                ));
            }
        };
        let mut ends = Vec::new();
        for end in [lo, hi] {
            let end = self.scalar(end, "an end of the time interval")?;
            self.require(&end, Phase::Example, what)?;
            self.before_the_run(&end, &name.name, false)?;
            ends.push(end);
        }
        let (hi, lo) = (ends.pop()?, ends.pop()?);
        Some((time, (lo, hi)))
    }

    // ---- terms -----------------------------------------------------------------------------

    fn terms(&mut self, params: &[Option<Param>], roots: &mut Roots) {
        let items = self.items();
        for item in items {
            match &item.kind {
                ItemKind::Loss { name, value } => {
                    self.term(Role::Loss, "a loss", name.as_ref(), value, item.span, roots)
                }
                ItemKind::Metric { name, value } => {
                    self.term(Role::Metric, "a metric", name.as_ref(), value, item.span, roots);
                }
                ItemKind::Likelihood { data, distribution } => {
                    if let Some(root) = self.likelihood(data, distribution, item.span) {
                        let name = self.unused_name(root.name, roots);
                        roots.terms.push((name.clone(), item.span));
                        roots.results.push(RunRoot { name, ..root });
                    }
                }
                _ => {}
            }
        }
        for param in params.iter().flatten() {
            if let Some(prior) = &param.prior {
                let name = format!("prior {}", self.defs[param.def].name).into();
                roots.results.push(RunRoot {
                    role: Role::Prior,
                    name,
                    value: prior.log_prob.clone(),
                    span: prior.span,
                });
            }
        }
    }

    fn term(
        &mut self,
        role: Role,
        place: &str,
        name: Option<&ast::Ident>,
        value: &'a ast::Expr,
        item: Span,
        roots: &mut Roots,
    ) {
        let (name, span) = match name {
            Some(name) => (name.name.clone(), name.span),
            None => {
                let plain: Arc<str> = if role == Role::Loss { "loss".into() } else { "metric".into() };
                (self.unused_name(plain, roots), item)
            }
        };
        if let Some((_, first)) = roots.terms.iter().find(|(other, _)| *other == name) {
            let first = *first;
            self.report(errors::defined_twice(&name, first, span));
            return;
        }
        roots.terms.push((name.clone(), span));
        let Some(value) = self.infer(value, self.home()) else { return };
        if self.require(&value, Phase::Example, place).is_none() {
            return;
        }
        let Some(value) = self.scalar(value, place) else { return };
        roots.results.push(RunRoot { role, name, value, span: item });
    }

    /// `name`, or with the first number that makes it new.
    fn unused_name(&self, name: Arc<str>, roots: &Roots) -> Arc<str> {
        let taken = |candidate: &str| roots.terms.iter().any(|(other, _)| **other == *candidate);
        if !taken(&name) {
            return name;
        }
        let numbered = (2..).map(|n| format!("{name} {n}"));
        numbered.into_iter().find(|candidate| !taken(candidate)).map_or(name, Arc::from)
    }

    fn likelihood(
        &mut self,
        data: &'a ast::Expr,
        distribution: &'a ast::Expr,
        item: Span,
    ) -> Option<RunRoot> {
        let x = self.infer(data, self.home())?;
        let mut param: Option<DefId> = None;
        let (mut has_data, mut other) = (false, false);
        let defs = &self.defs;
        reach(defs, &x, &mut |part| {
            match &part.kind {
                Kind::Def(def) => match defs[*def].kind {
                    DefKind::Param(_) => param = param.or(Some(*def)),
                    DefKind::Data(_) => has_data = true,
                    DefKind::State(_) | DefKind::Channel(_) | DefKind::Time | DefKind::Input(_) => {
                        other = true
                    }
                    DefKind::Noise(_) | DefKind::Control => other = true,
                    DefKind::Const | DefKind::Let | DefKind::Output | DefKind::Local => {}
                },
                Kind::Rate(_) | Kind::ChannelRate(_) | Kind::Start | Kind::End => other = true,
                _ => {}
            }
            true
        });
        if param.is_some() || !has_data || other {
            let name = param.map(|def| self.defs[def].name.to_string());
            let fix = param.and_then(|def| self.prior_instead(def, data, distribution));
            return self.fail(errors::likelihood_of_params(data.span, item, name.as_deref(), fix));
        }
        let x = self.real(x, "~")?;
        let (kind, params) = self.distribution(distribution, self.home())?;
        for param in &params {
            self.require(param, Phase::Example, "a likelihood")?;
        }
        let value = self.log_prob(kind, params, x, item)?;
        Some(RunRoot { role: Role::Likelihood, name: self.text(data.span).into(), value, span: item })
    }

    /// The declaration that says what `log(k) ~ normal(0, 1)` or `k ~ normal(0, 1)` was to say.
    fn prior_instead(&self, param: DefId, data: &ast::Expr, distribution: &ast::Expr) -> Option<String> {
        let name = &self.defs[param].name;
        let distribution = self.text(distribution.span);
        match &data.unparenthesised().kind {
            ExprKind::Name(_) => Some(format!("param {name} ~ {distribution}")),
            ExprKind::Call { callee, args } => {
                let is_log = matches!(&callee.kind, ExprKind::Name(name) if &**name == "log");
                let of_param = matches!(args.as_slice(), [Arg::Positional(ast::Expr { kind: ExprKind::Name(inner), .. })] if inner == name);
                let normal = distribution.strip_prefix("normal")?;
                (is_log && of_param).then(|| format!("param {name} in positive ~ lognormal{normal}"))
            }
            _ => None,
        }
    }

    fn outputs(&mut self, roots: &mut Roots) {
        let items = self.items();
        for item in items {
            let ItemKind::Output(decls) = &item.kind else { continue };
            for decl in decls {
                let Some(Binding::Value(def)) = self.global(&decl.name.name, decl.name.span) else {
                    continue;
                };
                if self.defs[def].span != decl.name.span {
                    continue;
                }
                let value = self.named(def, decl.name.span);
                let name = decl.name.name.clone();
                if value.phase == Phase::Time {
                    roots.curves.push(CurveRoot { name, value, output: true, span: decl.span });
                } else {
                    roots.results.push(RunRoot { role: Role::Output, name, value, span: decl.span });
                }
            }
        }
    }

    // ---- pictures --------------------------------------------------------------------------

    fn plots(&mut self, roots: &mut Roots) {
        let items = self.items();
        let mut n_points = 0;
        for item in items {
            let ItemKind::Plot { curves, versus } = &item.kind else { continue };
            if let Some((args, span)) = curves.iter().find_map(|c| Some((heatmap_args(c)?, c.span))) {
                if curves.len() > 1 || versus.is_some() {
                    let other = curves.iter().find(|curve| curve.span != span).or(versus.as_deref());
                    let at = other.map_or(span, |other| other.span);
                    let message = "a heat map fills its picture";
                    self.report(errors::wrong_kind(
                        at,
                        message,
                        "nothing else here; draw this by a `plot` of its own",
                    ));
                } else if let Some((heat, value)) = self.heatmap(args, span) {
                    roots.results.push(RunRoot { role: Role::Plot, name: heat.label.clone(), value, span });
                    let series = vec![Series::Heat(Heat { value: n_points, ..heat })];
                    n_points += 1;
                    roots.plots.push(Plot { x_label: "".into(), series, span: item.span });
                }
                continue;
            }
            let x = match (versus, self.space().time) {
                (Some(versus), _) => self.infer(versus, self.home()).map(to_real),
                (None, Some((name, _))) => match self.global(&name.name, name.span) {
                    Some(Binding::Value(time)) => Some(self.named(time, name.span)),
                    _ => None,
                },
                (None, None) => None,
            };
            let x_label = match (versus, self.space().time) {
                (Some(versus), _) => self.text(versus.span).into(),
                (None, time) => time.map_or("".into(), |(name, _)| name.name.clone()),
            };
            let mut series = Vec::new();
            for curve in curves {
                if let Some(some) = self.series(curve, x.as_ref(), roots, &mut n_points) {
                    series.extend(some);
                }
            }
            roots.plots.push(Plot { x_label, series, span: item.span });
        }
    }

    fn series(
        &mut self,
        curve: &'a ast::Expr,
        x: Option<&Expr>,
        roots: &mut Roots,
        n_points: &mut usize,
    ) -> Option<Vec<Series>> {
        if let ExprKind::Tuple(args) = &curve.kind {
            let [Arg::Positional(x), Arg::Positional(y)] = args.as_slice() else {
                return self.fail(errors::wrong_kind(
                    curve.span,
                    "this is not a pair",
                    "`(x, y)`, drawn as points",
                ));
            };
            let label = self.text(y.span);
            let (x, y) = (to_real(self.infer(x, self.home())?), to_real(self.infer(y, self.home())?));
            for part in [&x, &y] {
                self.require(part, Phase::Example, "a pair of a plot")?;
            }
            return self.points(label, x, y, curve.span, roots, n_points);
        }
        let label = self.text(curve.span);
        let y = to_real(self.infer(curve, self.home())?);
        let x = x?.clone();
        if x.phase.max(y.phase) < Phase::Time {
            if x.ty.is_scalar() {
                return self.over_runs(label, &x, y, roots, n_points);
            }
            return self.points(label, x, y, curve.span, roots, n_points);
        }
        if !x.ty.is_scalar() {
            return self.not_scalar("the abscissa of a plot", &x);
        }
        let x_label: Arc<str> = self.text(x.span).into();
        let x = curve_of(x_label, x, roots);
        let parts = self.components(label, y)?;
        let lines = parts.into_iter().map(|(label, y)| {
            let y = curve_of(label.clone(), y, roots);
            Series::Line { label, x, y }
        });
        Some(lines.collect())
    }

    fn points(
        &mut self,
        label: &str,
        x: Expr,
        y: Expr,
        span: Span,
        roots: &mut Roots,
        n_points: &mut usize,
    ) -> Option<Vec<Series>> {
        if x.ty.dims != y.ty.dims || x.ty.dims.len() > 1 {
            return self.unequal("plot", span, &x, &y);
        }
        for value in [x, y] {
            let (name, span) = (self.text(value.span).into(), value.span);
            roots.results.push(RunRoot { role: Role::Plot, name, value, span });
        }
        *n_points += 2;
        Some(vec![Series::Points { label: label.into(), x: *n_points - 2, y: *n_points - 1 }])
    }

    /// A number of every run over another, a series for each element of a vector.
    fn over_runs(
        &mut self,
        label: &str,
        x: &Expr,
        y: Expr,
        roots: &mut Roots,
        n_points: &mut usize,
    ) -> Option<Vec<Series>> {
        let mut along: Vec<Arc<str>> = Vec::new();
        let defs = &self.defs;
        reach(defs, x, &mut |part| {
            if let Kind::Def(def) = part.kind
                && let DefKind::Const | DefKind::Param(_) | DefKind::Input(_) = defs[def].kind
            {
                along.push(defs[def].name.clone());
            }
            true
        });
        let parts = self.components(label, y)?;
        let series = parts.into_iter().map(|(label, y)| {
            for value in [x.clone(), y] {
                let (name, span) = (self.text(value.span).into(), value.span);
                roots.results.push(RunRoot { role: Role::Plot, name, value, span });
            }
            *n_points += 2;
            Series::Runs { label, x: *n_points - 2, y: *n_points - 1, along: along.clone() }
        });
        Some(series.collect())
    }

    /// A curve for each element of a vector.
    fn components(&mut self, label: &str, y: Expr) -> Option<Vec<(Arc<str>, Expr)>> {
        match y.ty.dims.as_slice() {
            [] => Some(vec![(label.into(), y)]),
            [n] => {
                let Some(n) = n.as_number() else {
                    // Sizes are numbers once the data are known; there is nothing to check before.
                    return Some(Vec::new());
                };
                let part = |i: i64| Expr {
                    kind: Kind::Index(Box::new(y.clone()), vec![Pick::At(Dim::number(i))]),
                    ty: Ty::scalar(typed::Elem::Real),
                    phase: y.phase,
                    span: y.span,
                };
                Some((0..n).map(|i| (format!("{label}[{i}]").into(), part(i))).collect())
            }
            _ => self.misfit("plot", &y, "scalars or vectors"),
        }
    }

    // ---- warnings --------------------------------------------------------------------------

    fn warn(&mut self, model: &Model) {
        let (params, channels) = checks::reached(model);
        let is_trained = model.results.iter().any(|root| matches!(root.role, Role::Loss | Role::Likelihood));
        for (number, param) in model.params.iter().enumerate() {
            if is_trained && !params.contains(&number) {
                let def = &model.defs[param.def];
                self.report(errors::idle_param(def.span, &def.name));
            }
        }
        // What a system inside the program accumulates is there for whoever wants it.
        let own = model.main.map_or(0..0, |main| model.systems[main].channels.clone());
        for number in own {
            let channel = &model.channels[number];
            if !channels.contains(&number) {
                let def = &model.defs[channel.def];
                self.report(errors::idle_channel(def.span, &def.name));
            }
        }
    }
}

/// The index of a curve, which is entered if it is new.
pub(crate) fn curve_of(name: Arc<str>, value: Expr, roots: &mut Roots) -> usize {
    // A declared output is its own curve.
    if let Some(position) = roots.curves.iter().position(|curve| curve.name == name) {
        return position;
    }
    let span = value.span;
    roots.curves.push(CurveRoot { name, value, output: false, span });
    roots.curves.len() - 1
}
