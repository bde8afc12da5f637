//! The methods of the language: what each needs and offers, and which are built.

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
    /// Part of the language and not built yet; the methods named are the nearest that are.
    NotBuilt {
        /// What to use instead, the best first.
        instead: &'static [&'static str],
    },
}

impl Method {
    /// The method of a program that names none.
    pub const DEFAULT: &'static str = "tsit5";

    /// Every method: those that are built by rising order, then the others.
    pub fn all() -> impl Iterator<Item = Method> {
        Tableau::ALL.into_iter().map(Method::explicit).chain(NOT_BUILT)
    }

    /// The method spelled `name`.
    pub fn by_name(name: &str) -> Option<Method> {
        Method::all().find(|method| method.name == name)
    }

    /// Its table, if it is built.
    pub fn tableau(&self) -> Option<&'static Tableau> {
        match self.kind {
            Kind::Explicit(tableau) => Some(tableau),
            Kind::NotBuilt { .. } => None,
        }
    }

    /// Whether programs can run with it.
    pub fn is_built(&self) -> bool {
        match self.kind {
            Kind::Explicit(_) => true,
            Kind::NotBuilt { .. } => false,
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

const NOT_BUILT: [Method; 5] = [
    stiff("radau5", "Radau IIA of order 5, implicit; for stiff systems and constraints"),
    stiff("rodas5p", "Rosenbrock method of order 5; for stiff systems and constraints"),
    stiff("bdf", "backward differentiation formulas, orders 1 to 5; for large stiff systems"),
    Method {
        name: "auto",
        doc: "starts with tsit5 and changes to a stiff method where the system asks for it",
        adaptive: true,
        stiff: true,
        kind: Kind::NotBuilt { instead: &["tsit5", "dopri5"] },
    },
    Method {
        name: "yoshida4",
        doc: "Yoshida's symplectic composition of order 4; for separable Hamiltonian systems",
        adaptive: false,
        stiff: false,
        kind: Kind::NotBuilt { instead: &["rk4", "dopri5"] },
    },
];

const fn stiff(name: &'static str, doc: &'static str) -> Method {
    let kind = Kind::NotBuilt { instead: &["tsit5", "dopri5"] };
    Method { name, doc, adaptive: true, stiff: true, kind }
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
