//! The methods of the language: what each needs and offers, and which are built.

use super::sde::Scheme;
use super::symplectic::Composition;
use super::tableau::Tableau;

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
    /// A symplectic composition, for separable systems.
    Symplectic(&'static Composition),
    /// A scheme for systems with noise.
    Stochastic(Scheme),
    /// Part of the language and not built yet; the methods named are the nearest that are.
    NotBuilt {
        /// What to use instead, the best first.
        instead: &'static [&'static str],
    },
}

/// An implicit method for stiff systems and constraints of index 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stiff {
    /// [`Radau`](super::Radau).
    Radau5,
    /// [`Rosenbrock`](super::Rosenbrock).
    Rodas5p,
    /// [`Bdf`](super::Bdf).
    Bdf,
}

impl Method {
    /// The method of a program that names none.
    pub const DEFAULT: &'static str = "tsit5";

    /// Every method: those that are built by rising order, then the others.
    pub fn all() -> impl Iterator<Item = Method> {
        let explicit = Tableau::ALL.into_iter().map(Method::explicit);
        let symplectic = Composition::ALL.into_iter().map(Method::symplectic);
        let stochastic = Scheme::ALL.into_iter().map(Method::stochastic);
        explicit.chain(STIFF).chain(symplectic).chain(stochastic).chain(NOT_BUILT)
    }

    /// The method spelled `name`.
    pub fn by_name(name: &str) -> Option<Method> {
        Method::all().find(|method| method.name == name)
    }

    /// Its table, if it is explicit.
    pub fn tableau(&self) -> Option<&'static Tableau> {
        match self.kind {
            Kind::Explicit(tableau) => Some(tableau),
            Kind::Stiff(_) | Kind::Symplectic(_) | Kind::Stochastic(_) | Kind::NotBuilt { .. } => None,
        }
    }

    /// Whether programs can run with it.
    pub fn is_built(&self) -> bool {
        match self.kind {
            Kind::Explicit(_) | Kind::Stiff(_) | Kind::Symplectic(_) | Kind::Stochastic(_) => true,
            Kind::NotBuilt { .. } => false,
        }
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

const NOT_BUILT: [Method; 1] = [Method {
    name: "auto",
    doc: "starts with tsit5 and changes to a stiff method where the system asks for it",
    adaptive: true,
    stiff: true,
    kind: Kind::NotBuilt { instead: &["tsit5", "radau5"] },
}];

const fn stiff(name: &'static str, doc: &'static str, method: Stiff) -> Method {
    Method { name, doc, adaptive: true, stiff: true, kind: Kind::Stiff(method) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_alternatives_are_built() {
        let methods: Vec<Method> = Method::all().collect();
        for (i, method) in methods.iter().enumerate() {
            assert!(methods[..i].iter().all(|other| other.name != method.name), "{}", method.name);
            if let Kind::NotBuilt { instead } = method.kind {
                assert!(instead.iter().all(|name| Method::by_name(name).is_some_and(|m| m.is_built())));
            }
        }
        assert!(Method::by_name(Method::DEFAULT).is_some_and(|method| method.is_built()));
        assert!(Method::by_name("euler2").is_none());
    }
}
