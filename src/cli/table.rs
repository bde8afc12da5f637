//! Tables of text: aligned columns, and numbers with as many digits as their errors allow.

/// A fitted number.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The parameter, an entry of a tensor as `sigma[0]`.
    pub name: String,
    /// Its value, on the scale it is declared on.
    pub value: f64,
    /// Its standard error, if the Hessian gave one.
    pub standard_error: Option<f64>,
}

/// The table of estimates: name, value, standard error; the decimal points stand in a column. A
/// standard error has two significant digits and its value stops at the same place; without one a
/// value has six significant digits.
pub fn estimates(rows: &[Estimate]) -> String {
    let cells: Vec<[String; 3]> = rows
        .iter()
        .map(|row| match row.standard_error.filter(|error| error.is_finite() && *error > 0.0) {
            Some(error) => {
                let decimals = decimals(error, 2);
                [row.name.clone(), rounded(row.value, decimals), rounded(error, decimals)]
            }
            None => [row.name.clone(), rounded(row.value, decimals(row.value, 6)), String::from("-")],
        })
        .collect();
    aligned(&["param", "value", "std. error"], &cells)
}

/// Lines of name and value, the values aligned on their left: for statistics.
pub fn pairs(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

/// A header and rows: the first column on its left, the others on their decimal points.
fn aligned<const N: usize>(header: &[&str; N], rows: &[[String; N]]) -> String {
    let before = |cell: &str| cell.find(['.', 'e']).unwrap_or(cell.len());
    let mut lines = vec![String::new(); rows.len() + 1];
    for column in 0..N {
        let point = rows.iter().map(|row| before(&row[column])).max().unwrap_or(0);
        let padded = rows.iter().map(|row| match column {
            0 => row[0].clone(),
            _ => format!("{}{}", " ".repeat(point - before(&row[column])), row[column]),
        });
        let cells: Vec<String> = std::iter::once(header[column].to_owned()).chain(padded).collect();
        let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        for (line, cell) in lines.iter_mut().zip(cells) {
            let gap = if column == 0 { "" } else { "   " };
            line.push_str(&format!("{gap}{cell:width$}"));
        }
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Decimals that show `digits` significant digits of `value`; negative if the last of them stands
/// left of the point.
fn decimals(value: f64, digits: i32) -> i32 {
    if value == 0.0 || !value.is_finite() {
        return digits - 1;
    }
    // Through the decimal form, so that 0.0996 counts as 0.10 does.
    let written = format!("{value:.*e}", (digits - 1).max(0) as usize);
    let exponent: i32 = written.split('e').nth(1).and_then(|e| e.parse().ok()).unwrap_or(0);
    digits - 1 - exponent
}

/// `value` rounded to `decimals` places, which may be negative; in powers of ten where the plain
/// form would be mostly zeros.
fn rounded(value: f64, decimals: i32) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    if (0..=9).contains(&decimals) {
        return format!("{value:.*}", decimals as usize);
    }
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    format!("{value:.*e}", (magnitude + decimals).max(0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(name: &str, value: f64, standard_error: Option<f64>) -> Estimate {
        Estimate { name: name.to_owned(), value, standard_error }
    }

    #[test]
    fn values_stop_where_their_errors_do() {
        let table = estimates(&[
            estimate("alpha", 0.545_218, Some(0.064_3)),
            estimate("beta", 0.027_711, Some(0.004_28)),
            estimate("sigma[0]", 0.249_7, Some(0.099_6)),
            estimate("x0", 33.958, Some(2.91)),
            estimate("fixed", 2.0 / 3.0, None),
        ]);
        let expected = "\
param      value       std. error
alpha       0.545      0.064
beta        0.0277     0.0043
sigma[0]    0.25       0.10
x0         34.0        2.9
fixed       0.666667   -
";
        assert_eq!(table, expected, "\n{table}");
    }

    #[test]
    fn large_and_tiny_numbers_use_powers_of_ten() {
        let table =
            estimates(&[estimate("k", 3.141_59e7, Some(1.2e3)), estimate("d", 2.5e-12, Some(3.1e-14))]);
        assert!(table.contains("3.14159e7") && table.contains("1.2e3"), "\n{table}");
        assert!(table.contains("2.500e-12") && table.contains("3.1e-14"), "\n{table}");
    }
}
