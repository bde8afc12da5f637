//! What typeset mathematics writes in characters of its own: raised digits, commands of LaTeX.

use crate::syntax::token::Lexeme;

/// The digit that a raised one stands for.
pub fn raised_digit(c: char) -> Option<char> {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digit = RAISED.iter().position(|raised| *raised == c)?;
    char::from_digit(digit as u32, 10)
}

/// Where the LaTeX command ends that `\name` begins, and what it is here.
pub fn latex(text: &str, name: Lexeme) -> (usize, Option<String>) {
    const GREEK: [(&str, &str); 24] = [
        ("alpha", "α"),
        ("beta", "β"),
        ("gamma", "γ"),
        ("delta", "δ"),
        ("epsilon", "ε"),
        ("varepsilon", "ε"),
        ("zeta", "ζ"),
        ("eta", "η"),
        ("theta", "θ"),
        ("kappa", "κ"),
        ("lambda", "λ"),
        ("mu", "μ"),
        ("nu", "ν"),
        ("xi", "ξ"),
        ("pi", "pi"),
        ("rho", "ρ"),
        ("sigma", "σ"),
        ("tau", "τ"),
        ("phi", "φ"),
        ("varphi", "φ"),
        ("chi", "χ"),
        ("psi", "ψ"),
        ("omega", "ω"),
        ("Omega", "Ω"),
    ];
    const OTHER: [(&str, &str); 12] = [
        ("cdot", "*"),
        ("times", "*"),
        ("le", "<="),
        ("leq", "<="),
        ("ge", ">="),
        ("geq", ">="),
        ("ne", "!="),
        ("neq", "!="),
        ("sin", "sin"),
        ("cos", "cos"),
        ("exp", "exp"),
        ("log", "log"),
    ];
    let command = name.slice(text);
    let braced = text[name.hi..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
    let primes = match command {
        "dot" => "'",
        "ddot" => "''",
        _ => "",
    };
    if let (false, Some((inside, _))) = (primes.is_empty(), braced) {
        return (name.hi + inside.len() + 2, Some(format!("{inside}{primes}")));
    }
    let known = GREEK.iter().chain(&OTHER).find(|(known, _)| *known == command);
    (name.hi, known.map(|(_, replacement)| (*replacement).to_string()))
}
