//! The methods of the language: what each needs and offers.

use super::implicit::{Collocation, Dirk};
use super::outcome::Stats;
use super::reversible::Reversible;
use super::sde::Scheme;
use super::symplectic::Composition;
use super::tableau::Tableau;
use super::taylor::order_for;

/// A method that the language knows by name.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Spelling in `solve { method = ... }`.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Whether it can steer its step size by an error estimate; otherwise it needs `dt`.
    pub adaptive: bool,
    /// Whether it is made for stiff systems.
    pub stiff: bool,
    /// How it is run.
    pub kind: Kind,
}

/// How a method is run.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// An explicit Runge–Kutta method.
    Explicit(&'static Tableau),
    /// An implicit method.
    Stiff(Stiff),
    /// [`Adams`](super::Adams).
    Multistep,
    /// [`Taylor`](super::Taylor).
    Taylor {
        /// Number of the highest coefficient.
        order: usize,
    },
    /// [`Auto`](super::Auto), with this explicit method.
    Auto(&'static Tableau),
    /// A symplectic composition, for separable systems.
    Symplectic(&'static Composition),
    /// [`Reversing`](super::Reversing), with this method.
    Reversible(Reversible),
    /// A scheme for systems with noise.
    Stochastic(Scheme),
}

/// An implicit method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stiff {
    /// [`Radau`](super::Radau).
    Radau5,
    /// [`Rosenbrock`](super::Rosenbrock).
    Rodas5p,
    /// [`Bdf`](super::Bdf).
    Bdf,
    /// [`Esdirk`](super::Esdirk).
    Dirk(&'static Dirk),
    /// [`Gauss`](super::Gauss), for systems without constraints.
    Gauss(&'static Collocation),
}

impl Kind {
    /// The order of the method; the highest of one that varies it.
    pub fn order(self) -> u32 {
        match self {
            Kind::Explicit(tableau) | Kind::Auto(tableau) => tableau.order,
            Kind::Stiff(Stiff::Radau5 | Stiff::Rodas5p | Stiff::Bdf) => 5,
            Kind::Stiff(Stiff::Dirk(dirk)) => dirk.order,
            Kind::Stiff(Stiff::Gauss(method)) => method.order,
            Kind::Multistep => 12,
            Kind::Taylor { order } => u32::try_from(order).unwrap_or(u32::MAX),
            Kind::Symplectic(composition) => composition.order,
            Kind::Reversible(_) => 2,
            Kind::Stochastic(_) => 1,
        }
    }
}

impl Method {
    /// The method of a program that names none.
    pub const DEFAULT: &'static str = "tsit5";

    /// Every method: explicit ones by rising order, `auto`, then those for special systems.
    pub fn all() -> impl Iterator<Item = Method> {
        let explicit = Tableau::ALL.into_iter().map(Method::explicit);
        let dirk = Dirk::ALL.into_iter().map(Method::dirk);
        let gauss = Collocation::ALL.into_iter().map(Method::gauss);
        let symplectic = Composition::ALL.into_iter().map(Method::symplectic);
        let stochastic = Scheme::ALL.into_iter().map(Method::stochastic);
        let reversible = Reversible::ALL.into_iter().map(Method::reversible);
        let special = STIFF.into_iter().chain(dirk).chain(gauss).chain(symplectic);
        let special = special.chain(reversible).chain(stochastic);
        explicit.chain([ABM, TAYLOR, auto()]).chain(special)
    }

    /// The method spelled `name`.
    pub fn by_name(name: &str) -> Option<Method> {
        Method::all().find(|method| method.name == name)
    }

    /// Why a method that chooses took the steps it took, in words; `None` for one that does not choose.
    pub fn choice(&self, stats: &Stats) -> Option<String> {
        let Kind::Auto(tableau) = self.kind else { return None };
        let (name, explicit) = (tableau.name, stats.accepted - stats.stiff_steps);
        Some(match (stats.to_stiff, stats.stiff_steps) {
            (0, 0) => format!("{name} throughout: stability never set the step"),
            (0, _) => String::from("rodas5p throughout: there are constraints or a mass matrix"),
            (changes, stiff) => format!(
                "{explicit} steps by {name}, {stiff} by rodas5p; stiff {changes} times (|hλ| up to {:.1} in {} \
                 steps), mild again {} times",
                stats.stiffness,
                super::auto::STIFF_STEPS,
                stats.to_explicit
            ),
        })
    }

    /// The method as a run at this relative tolerance takes it: the order of a Taylor method follows
    /// from it.
    pub fn at_tolerance(self, rtol: f64) -> Method {
        match self.kind {
            Kind::Taylor { .. } => Method { kind: Kind::Taylor { order: order_for(rtol) }, ..self },
            Kind::Explicit(_)
            | Kind::Stiff(_)
            | Kind::Multistep
            | Kind::Auto(_)
            | Kind::Symplectic(_)
            | Kind::Reversible(_)
            | Kind::Stochastic(_) => self,
        }
    }

    /// Whether its steps heed the setting of step-size control called `setting`; `true` for a setting
    /// of anything else.
    pub fn reads(&self, setting: &str) -> bool {
        let steering =
            ["norm", "error_norm", "controller", "safety", "factor_min", "factor_max", "convention"];
        if !steering.contains(&setting) {
            return true;
        }
        match self.kind {
            Kind::Explicit(_)
            | Kind::Stiff(Stiff::Radau5 | Stiff::Rodas5p | Stiff::Dirk(_) | Stiff::Gauss(_))
            | Kind::Auto(_)
            | Kind::Symplectic(_)
            | Kind::Reversible(_)
            | Kind::Stochastic(_) => self.adaptive,
            // Both choose order and step size together.
            Kind::Stiff(Stiff::Bdf) => setting != "controller",
            Kind::Multistep => !["controller", "safety", "factor_min", "factor_max"].contains(&setting),
            // The last terms of the series set the step.
            Kind::Taylor { .. } => setting != "controller",
        }
    }

    /// Its table, if it is explicit.
    pub fn tableau(&self) -> Option<&'static Tableau> {
        match self.kind {
            Kind::Explicit(tableau) => Some(tableau),
            Kind::Stiff(_)
            | Kind::Multistep
            | Kind::Taylor { .. }
            | Kind::Auto(_)
            | Kind::Symplectic(_)
            | Kind::Reversible(_)
            | Kind::Stochastic(_) => None,
        }
    }

    fn reversible(method: Reversible) -> Method {
        let (name, doc, kind) = (method.name(), method.doc(), Kind::Reversible(method));
        Method { name, doc, adaptive: false, stiff: false, kind }
    }

    fn stochastic(scheme: Scheme) -> Method {
        let (name, doc, kind) = (scheme.name(), scheme.doc(), Kind::Stochastic(scheme));
        Method { name, doc, adaptive: false, stiff: false, kind }
    }

    fn symplectic(composition: &'static Composition) -> Method {
        Method {
            name: composition.name,
            doc: composition.doc,
            adaptive: false,
            stiff: false,
            kind: Kind::Symplectic(composition),
        }
    }

    fn dirk(dirk: &'static Dirk) -> Method {
        let (name, doc, adaptive) = (dirk.name, dirk.doc, dirk.embedded.is_some());
        Method { name, doc, adaptive, stiff: true, kind: Kind::Stiff(Stiff::Dirk(dirk)) }
    }

    fn gauss(method: &'static Collocation) -> Method {
        let (name, doc, kind) = (method.name, method.doc, Kind::Stiff(Stiff::Gauss(method)));
        Method { name, doc, adaptive: false, stiff: false, kind }
    }

    fn explicit(tableau: &'static Tableau) -> Method {
        Method {
            name: tableau.name,
            doc: tableau.doc,
            adaptive: tableau.embedded.is_some(),
            stiff: false,
            kind: Kind::Explicit(tableau),
        }
    }
}

const STIFF: [Method; 3] = [
    stiff("radau5", "Radau IIA of order 5, implicit; for stiff systems and constraints", Stiff::Radau5),
    stiff("rodas5p", "Rosenbrock method of order 5; for stiff systems and constraints", Stiff::Rodas5p),
    stiff(
        "bdf",
        "numerical differentiation formulas, orders 1 to 5; for large stiff systems and constraints",
        Stiff::Bdf,
    ),
];

const ABM: Method = Method {
    name: "abm",
    doc: "Adams–Bashforth–Moulton, orders 1 to 12, two evaluations a step; for rates that cost much",
    adaptive: true,
    stiff: false,
    kind: Kind::Multistep,
};

const TAYLOR: Method = Method {
    name: "taylor",
    doc: "the power series of the solution, to an order that follows from rtol; for tight tolerances",
    adaptive: true,
    stiff: false,
    kind: Kind::Taylor { order: 8 },
};

fn auto() -> Method {
    let doc = "starts with tsit5 and changes to rodas5p and back as the system turns stiff or mild";
    let tableau = Tableau::by_name(super::auto::EXPLICIT).expect("it is in the table");
    Method { name: "auto", doc, adaptive: true, stiff: true, kind: Kind::Auto(tableau) }
}

const fn stiff(name: &'static str, doc: &'static str, method: Stiff) -> Method {
    Method { name, doc, adaptive: true, stiff: true, kind: Kind::Stiff(method) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let methods: Vec<Method> = Method::all().collect();
        for (i, method) in methods.iter().enumerate() {
            assert!(methods[..i].iter().all(|other| other.name != method.name), "{}", method.name);
        }
        assert!(Method::by_name(Method::DEFAULT).is_some());
        assert!(Method::by_name("euler2").is_none());
    }
}
