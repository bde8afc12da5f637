//! Parquet files as pyarrow 26 wrote them, read as programs declare them; expected entries are those
//! given to pyarrow. `table.parquet` has two groups of rows (4 and 2), `zstd.parquet` is packed by zstd.

use crate::datasets::{data_in, field, files, mistake};
use nodec::data::{Part, parquet, schema};

#[test]
fn columns_of_every_type_of_number() {
    let item = "data a = parquet(\"table.parquet\") { t: [T], y: int[T], n: int[T], ok: bool[T], w: [T], \
                c: [T] = column(\"y\"), two: [T, 2] = columns(\"t\", \"n\") }";
    let data = data_in(&files(), item).unwrap();
    let numbers = |name: &str| field(&data, name, Part::Train).to_f64(0);
    assert_eq!(numbers("a.t"), [0.0, 0.5, 1.0, 2.0, 0.0, 3.0]);
    assert_eq!(numbers("a.y"), [1.0, 2.0, 3.0, 4.0, -5.0, 2.0_f64.powi(40)]);
    assert_eq!(numbers("a.n"), [1.0, 2.0, 3.0, 4.0, 5.0, 4_294_967_295.0]);
    assert_eq!(numbers("a.ok"), [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]);
    assert_eq!(numbers("a.w"), [0.25, 0.5, 0.75, 1.0, 1.25, 1.5]);
    assert_eq!(numbers("a.c"), numbers("a.y"));
    assert_eq!(numbers("a.two")[8..], [0.0, 5.0, 3.0, 4_294_967_295.0]);
}

#[test]
fn rows_by_example() {
    let item = "data a = parquet(\"table.parquet\", by = \"id\") { t: [batch, K?], w: [batch, K?] }";
    let data = data_in(&files(), item).unwrap();
    assert_eq!(data.n_examples(Part::Train), Some(2));
    assert_eq!(field(&data, "a.t", Part::Train).to_f64(0), [0.0, 0.5, 1.0, 2.0]);
    assert_eq!(field(&data, "a.w", Part::Train).to_f64(1)[..2], [1.25, 1.5]);
    // Whole numbers and truth values group as texts do.
    let item = "data a = parquet(\"table.parquet\", by = \"ok\") { t: [batch, K?] }";
    let data = data_in(&files(), item).unwrap();
    assert_eq!(field(&data, "a.t", Part::Train).to_f64(1)[..2], [0.5, 0.0]);
}

#[test]
fn what_no_numbers_come_of() {
    let cases = [
        (
            "parquet(\"table.parquet\") { holes: [T] }",
            "error[E0705]: `table.parquet`: `holes[1]` is missing (null)",
        ),
        (
            "parquet(\"table.parquet\") { when: [T] }",
            "error[E0705]: `table.parquet`: the column `when` holds timestamps, not numbers",
        ),
        (
            "parquet(\"table.parquet\") { day: [T] }",
            "error[E0705]: `table.parquet`: the column `day` holds dates, not numbers",
        ),
        (
            "parquet(\"table.parquet\") { id: [T] }",
            "error[E0705]: `table.parquet`: the column `id` holds texts, not numbers",
        ),
        (
            "parquet(\"table.parquet\") { x: [T] = column(\"tags.list.element\") }",
            "error[E0705]: `table.parquet`: the column `tags.list.element` holds lists, not numbers",
        ),
        (
            "parquet(\"table.parquet\") { big: int[T] }",
            "error[E0705]: `table.parquet`: `big[5]` is 9.223372036854776e18, above 2^53",
        ),
        ("parquet(\"table.parquet\") { W: [T] }", "error[E0703]: `table.parquet` has no column `W`"),
        (
            "parquet(\"table.parquet\", by = \"w\") { t: [batch, K?] }",
            "error[E0705]: `table.parquet`: the column `w` holds fractions, which name no examples",
        ),
        (
            "parquet(\"zstd.parquet\") { t: [T] }",
            "error[E0701]: cannot read `zstd.parquet`: it is packed by zstd; write it with \
             `compression=\"snappy\"`, or by gzip",
        ),
        ("parquet(\"empty.parquet\") { t: [T] }", "error[E0702]: `empty.parquet` has a header and no rows"),
        (
            "parquet(\"plain.npz\") { t: [T] }",
            "error[E0701]: cannot read `plain.npz`: it is not a whole Parquet file (Parquet error: Invalid \
             Parquet file. Corrupt footer)",
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(mistake(&files(), &format!("data a = {source}")), expected, "{source}");
    }
}

#[test]
fn a_declaration_to_paste() {
    let bytes = std::fs::read(files().join("table.parquet")).unwrap();
    let expected = "data table = parquet(\"table.parquet\") {\n  t: [T]\n  # `id` is not numbers: it holds texts\n  \
                    y: int[T]\n  n: int[T]\n  ok: bool[T]\n  w: [T]\n  big: int[T]\n  holes: [T]\n  \
                    # `when` is not numbers: it holds timestamps\n  # `day` is not numbers: it holds dates\n  \
                    # `tags.list.element` is not numbers: it holds lists\n}\n";
    assert_eq!(schema("table.parquet", &bytes).unwrap(), expected);
}

/// What is written is read, and the same numbers are the same bytes.
#[test]
fn what_is_exported_is_read() {
    let folder = std::env::temp_dir().join(format!("nodec-parquet-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let times: Vec<f64> = (0..5000).map(|n| f64::from(n) / 7.0).collect();
    let squares: Vec<f64> = times.iter().map(|t| t * t).collect();
    let bytes = parquet::encoded(&[("t", &times), ("x[0]", &squares)]);
    assert_eq!(bytes, parquet::encoded(&[("t", &times), ("x[0]", &squares)]));
    std::fs::write(folder.join("run.parquet"), bytes).unwrap();
    let item = "data a = parquet(\"run.parquet\") { t: [T], x: [T] = column(\"x[0]\") }";
    let data = data_in(&folder, item);
    std::fs::remove_dir_all(&folder).unwrap();
    let data = data.unwrap();
    assert_eq!(field(&data, "a.t", Part::Train).to_f64(0), times);
    assert_eq!(field(&data, "a.x", Part::Train).to_f64(0), squares);
}
