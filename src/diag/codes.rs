//! Every code with its title and its page.
//!
//! A row is one line, a page one file in `explain/`. Bands: E01 text and grammar, E02 names and
//! items, E03 shapes and types, E04 phases and time, E05 systems and events, E06 derivatives,
//! E07 data, E08 settings and methods, E09 while running; W for warnings.

use crate::diag::diagnostic::Code;

/// What is known of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The code.
    pub code: Code,
    /// One line, lower case.
    pub title: &'static str,
    /// The page `nodec explain` prints, in Markdown: what it means, a wrong and a right program.
    pub page: &'static str,
}

macro_rules! table {
    ($($code:literal $title:literal)*) => {
        /// Every code, in order.
        pub const ALL: &[Row] = &[$(
            Row { code: Code($code), title: $title, page: include_str!(concat!("explain/", $code, ".md")) },
        )*];
    };
}

table! {
    "E0100" "something else was expected here"
    "E0101" "strings use double quotes"
    "E0102" "comments start with #"
    "E0103" "powers are written ^"
    "E0104" "a number needs a digit on both sides of the point"
    "E0105" "a character without meaning"
    "E0106" "a bracket that is never closed"
    "E0107" "a bracket that closes nothing"
    "E0108" "a string that is never closed"
    "E0109" "a number that is too large"
    "E0110" "two operands without an operator between them"
    "E0111" "an if without an else"
    "E0112" "derivatives are written with a prime"
    "E0113" "an unknown escape in a string"
    "E0114" "nested too deeply"
    "E0115" "a line that starts with -"
    "E0116" "= where == is meant"
    "E0117" "a misspelt item keyword"
    "E0118" "a line that ends in an operator"
    "E0119" "as another language writes it"
    "E0120" "definitions and equations are written ="
    "E0121" "numbers carry no units"
    "E0122" "the entries of a list are separated by commas"
    "E0123" "a choice is written if c then a else b"
    "E0130" "the left of -> is not a pattern"
    "E0131" "comparisons do not chain"
    "E0201" "a name that nothing defines"
    "E0202" "a field that a data set does not have"
    "E0203" "something of another kind is expected here"
    "E0204" "a call with the wrong arguments"
    "E0205" "two items of one name"
    "E0206" "a definition that needs itself"
    "E0207" "a module that cannot be used"
    "E0208" "files that use each other"
    "E0209" "a name that a module does not give"
    "E0210" "the wrong number of sizes"
    "E0214" "the left of ~ must be data"
    "E0215" "a name without a word that declares it"
    "E0290" "in the language, not built yet"
    "E0301" "two sides of different shape"
    "E0304" "elementwise operands of different shapes"
    "E0305" "one number is needed"
    "E0306" "a size that nothing settles"
    "E0307" "a size must be a static integer"
    "E0308" "an operand of the wrong kind"
    "E0309" "an index outside its axis"
    "E0310" "more indices than axes"
    "E0311" "a value that is too large"
    "E0312" "subscripts that do not fit"
    "E0320" "a function that calls itself"
    "E0401" "a trajectory where a number is needed"
    "E0402" "a value that is known too late"
    "E0403" "another time inside an equation"
    "E0404" "a number that is called"
    "E0410" "a statistic of a batch"
    "E0411" "a system run inside an equation"
    "E0412" "what moves with another system"
    "E0413" "runs that need each other"
    "E0501" "a state without an equation"
    "E0502" "primes that define each other"
    "E0503" "a system must be linear in its derivatives"
    "E0504" "more equations than unknowns"
    "E0505" "a channel that feeds back"
    "E0506" "constraints that do not determine an algebraic unknown"
    "E0507" "a noise where it has no meaning"
    "E0508" "a prime that no line gives"
    "E0509" "an equality as a condition"
    "E0510" "a state without a start value"
    "E0511" "an equation for something that does not move"
    "E0512" "an equation of the wrong order"
    "E0513" "a system without a time"
    "E0514" "a condition that is not made of comparisons"
    "E0515" "something that cannot jump"
    "E0516" "knots that make no path, or a period that is none"
    "E0602" "a prime on something that does not move"
    "E0603" "a derivative by something that is not a name"
    "E0604" "the gradient of something that is not a scalar"
    "E0605" "a derivative by an integer"
    "E0700" "a program that cannot be read"
    "E0701" "a data file that cannot be read"
    "E0702" "a data file without data"
    "E0703" "a column that is not in the file"
    "E0704" "sizes of data that disagree"
    "E0705" "a cell that is not a number"
    "E0706" "a schema that does not go with its source"
    "E0707" "times of data that go back"
    "E0801" "a name that is no setting"
    "E0802" "a setting of the wrong type"
    "E0803" "a method that cannot solve this system"
    "E0804" "a symplectic method on a system that is not separable"
    "E0805" "a model that cannot be compiled"
    "E0806" "a param outside its set"
    "E0807" "nothing to fit"
    "E0808" "a setting that is set twice"
    "E0810" "many runs of what has only one"
    "E0901" "the step size collapsed"
    "E0902" "a number that is not finite"
    "E0903" "equations that could not be solved"
    "E0904" "no steps left"
    "E0905" "events that come ever faster"
    "E0906" "a time outside the run"
    "E0907" "an event whose time has no derivative"
    "E0908" "a gradient that differences of runs contradict"
    "E0909" "a gradient across a jump that no event marks"
    "W0510" "a condition that is true at the start"
    "W0520" "a motion that jumps where no step ends"
    "W0601" "a param that training cannot change"
    "W0602" "a channel that nobody evaluates"
    "W0603" "a prior that leaves out a part of a set"
    "W0604" "a summary of a single number"
    "W0610" "a trace estimate inside a nonlinear function"
    "W0701" "a data file that was not there to be checked"
    "W0801" "a setting that nothing reads"
    "W0901" "an integral the steps were too long for"
}

/// The row of `code`, as in `lookup("E0110")`; upper or lower case.
pub fn lookup(code: &str) -> Option<&'static Row> {
    ALL.iter().find(|row| row.code.0.eq_ignore_ascii_case(code))
}
