//! Plain tables, and the median.

use std::io::Write;

/// One line on standard output.
pub(crate) fn line(text: &str) {
    std::io::stdout().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// A title, then rows with columns of equal width; the first row is the head.
pub(crate) fn print(title: &str, rows: &[Vec<String>]) {
    line(&format!("\n{title}\n"));
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(format!("  {}", cells.join("  ")).trim_end());
    }
}

/// The middle one; of an even number the upper of both.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(values, 50)
}

/// The value that `percent` of all do not exceed.
pub(crate) fn percentile(values: impl IntoIterator<Item = f64>, percent: usize) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let index = (values.len() * percent / 100).min(values.len() - 1);
    values[index]
}
