//! Data sets as programs declare them: every kind of file, batches, parts, ragged axes; and the
//! real data sets where they are at hand. Expected entries were printed by NumPy.

use nodec::base::numbers::{Examples, Numbers};
use nodec::base::span::Sources;
use nodec::data::{Columns, Element, FieldRequest, Format, Loaded, Part, Place, Request, load, schema};
use nodec::diag::Sink;
use nodec::{Dataset, Model};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Small files that NumPy wrote.
pub(crate) fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/files")
}

/// The folder of real data sets, looked for beside the repository and above it.
fn real(test: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/data"))
        .find(|folder| folder.join("README.md").is_file());
    if found.is_none() {
        eprintln!("NOT TESTED: {test}: there is no shared/data beside or above the repository");
    }
    found
}

const REST: &str = "time t in 0..1\nstate s = 1.0\ns' = 0*s\n";

/// The data of a program that has this `data` item.
pub(crate) fn data_in(folder: &Path, item: &str) -> Result<Arc<Dataset>, String> {
    let text = format!("{item}\n{REST}");
    let model = Model::from_text("model.node", &text, folder.to_path_buf()).map_err(|all| all.render())?;
    model.bind().data().map_err(|all| all.render())
}

/// The code and headline of the only mistake.
pub(crate) fn mistake(folder: &Path, item: &str) -> String {
    let shown = data_in(folder, item).expect_err("a mistake");
    assert_eq!(shown.matches("error[").count(), 1, "{shown}");
    shown.lines().next().unwrap_or_default().to_owned()
}

pub(crate) fn field<'a>(data: &'a Dataset, path: &str, part: Part) -> &'a Examples {
    data.field(path, part).unwrap_or_else(|| panic!("no {path} in {part:?}"))
}

/// A folder with these text files, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn with(test: &str, files: &[(&str, &str)]) -> Folder {
        let folder = std::env::temp_dir().join(format!("nodec-datasets-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the fields find in a file, read without a program.
fn read(folder: &Path, format: Format, path: &str, by: Option<&str>, fields: &[FieldRequest]) -> Loaded {
    let mut sources = Sources::new();
    let source = sources.add("program", "");
    let span = nodec::base::span::Span::new(source, 0, 0);
    let by = by.map(|by| (by.to_owned(), span));
    let fields = fields.iter().map(|field| FieldRequest { span, ty_span: span, ..field.clone() }).collect();
    let request = Request { format, place: Place { path, span, folder }, by, fields };
    let mut sink = Sink::new();
    load(&request, &mut sources, &mut sink).unwrap_or_else(|| panic!("{:#?}", sink.diagnostics()))
}

fn asked(name: &str, element: Element, rank: usize, ragged: bool) -> FieldRequest {
    let mut sources = Sources::new();
    let span = nodec::base::span::Span::new(sources.add("program", ""), 0, 0);
    let columns = Columns::Named;
    FieldRequest { name: name.into(), span, element, ty_span: span, columns, batch: true, rank, ragged }
}

#[test]
fn arrays_of_numpy_stored_and_deflated() {
    let plain = data_in(&files(), "data a = npz(\"plain.npz\") { x: [batch, C], y: int[batch] }").unwrap();
    assert_eq!(plain.n_examples(Part::Train), Some(2));
    assert_eq!(plain.sizes().collect::<Vec<_>>(), [("C", 3)]);
    assert_eq!(field(&plain, "a.x", Part::Train).to_f64(1), [0.75, 1.0, 1.25]);
    assert_eq!(field(&plain, "a.y", Part::Train).to_f64(1), [-1.0]);
    let packed = data_in(&files(), "data a = npz(\"packed.npz\") { x: [2, 3], y: bool[2] }").unwrap();
    assert_eq!(packed.n_examples(Part::Train), None);
    assert_eq!(field(&packed, "a.x", Part::Test).to_f64(0), [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]);
    assert_eq!(field(&packed, "a.y", Part::Train).to_f64(0), [1.0, 0.0]);
}

#[test]
fn an_array_of_the_other_byte_order_and_layout() {
    let data = data_in(&files(), "data a = npy(\"fortran_big.npy\") { x: [batch, 3] }").unwrap();
    assert_eq!(field(&data, "a.x", Part::Train).to_f64(0), [-2.5, -1.5, -0.5]);
    assert_eq!(field(&data, "a.x", Part::Train).to_f64(1), [0.5, 1.5, 2.5]);
    assert_eq!(
        mistake(&files(), "data a = npy(\"half.npy\") { x: [batch, 3] }"),
        "error[E0701]: cannot read `half.npy`: its elements are `<f2`; readable are bool, integers, single \
         and double precision"
    );
}

#[test]
fn a_file_for_each_field_and_for_each_part() {
    let item = "data a = npy(train = [\"fortran_big.npy\"], test = [\"fortran_big.npy\"]) { x: [batch, C] }";
    let data = data_in(&files(), item).unwrap();
    assert_eq!(Part::ALL.map(|part| data.n_examples(part)), [Some(2), Some(0), Some(2)]);
    assert!(data.field("a.x", Part::Valid).is_none());
    let item = "data a = npy([\"fortran_big.npy\", \"fortran_big.npy\"]) { x: [batch, C], y: [batch, C] }";
    assert_eq!(field(&data_in(&files(), item).unwrap(), "a.y", Part::Train).to_f64(1), [0.5, 1.5, 2.5]);
}

#[test]
fn what_the_file_and_the_schema_disagree_on() {
    let cases = [
        (
            "data a = npy(\"fortran_big.npy\") { x: [batch] }",
            "error[E0704]: the schema gives `x` the shape [batch], in the data it is [2, 3]",
        ),
        (
            "data a = npy(\"fortran_big.npy\") { x: [batch, 4] }",
            "error[E0704]: the schema gives an axis of `x` the length 4, the data have 3",
        ),
        (
            "const H = 2\ndata a = npy(\"fortran_big.npy\") { x: [batch, H + 2] }",
            "error[E0704]: the schema gives an axis of `x` the length 4, the data have 3",
        ),
        (
            "data a = npy(\"fortran_big.npy\") { x: int[batch, 3] }",
            "error[E0705]: `fortran_big.npy`: `x[0, 0]` is -2.5, not a whole number",
        ),
        (
            "data a = npy(\"fortran_big.npy\") { x: [batch, 3], y: [batch] }",
            "error[E0706]: `fortran_big.npy` holds one array, the schema has 2 fields",
        ),
        ("data a = npz(\"plain.npz\") { X: [batch, 3] }", "error[E0703]: `plain.npz` has no array `X`"),
        (
            "data a = npz(\"fortran_big.npy\") { x: [batch, 3] }",
            "error[E0701]: cannot read `fortran_big.npy`: it is not an archive of NumPy (`.npz`)",
        ),
        (
            "data a = npz(\"plain.npz\") { x: [T, T], y: int[batch] }",
            "error[E0704]: `T` is 3 here, and 2 elsewhere",
        ),
        (
            "data a = npz(\"plain.npz\", split = [0.5, 0.4, 0.2]) { x: [batch, 3] }",
            "error[E0706]: three shares that add up to 1, for `train`, `valid` and `test`, are wanted",
        ),
        (
            "data a = npz(\"plain.npz\", by = \"x\") { x: [batch, 3] }",
            "error[E0706]: only a table has rows to group",
        ),
    ];
    for (item, expected) in cases {
        assert_eq!(mistake(&files(), item), expected, "{item}");
    }
}

#[test]
fn a_size_is_found_where_it_appears_linearly() {
    let data = data_in(&files(), "data a = npz(\"plain.npz\") { x: [batch, 2*C + 1] }").unwrap();
    assert_eq!(data.sizes().collect::<Vec<_>>(), [("C", 1)]);
}

#[test]
fn a_table_by_rows_and_by_groups() {
    let text = "who,t,hr,ph,age\nann,0,60,7.1,30\nbob,0,70,7.2,40\nann,1.5,61,7.3,30\n";
    let folder = Folder::with("groups", &[("icu.csv", text)]);
    let item = "data a = csv(\"icu.csv\") { t: [batch], x: [batch, C] = columns(\"hr\"..\"ph\") }";
    let data = data_in(&folder.0, item).unwrap();
    assert_eq!(data.n_examples(Part::Train), Some(3));
    assert_eq!(field(&data, "a.x", Part::Train).to_f64(2), [61.0, 7.3]);
    let item = "data a = csv(\"icu.csv\") { x: [T, 2] = columns(\"ph\", \"age\") }";
    assert_eq!(
        field(&data_in(&folder.0, item).unwrap(), "a.x", Part::Train).to_f64(0),
        [7.1, 30.0, 7.2, 40.0, 7.3, 30.0]
    );
    let mut x = asked("x", Element::Real, 2, true);
    let span = x.span;
    x.columns = Columns::Several(vec![("hr".into(), span), ("ph".into(), span)]);
    let fields = [asked("t", Element::Real, 1, true), x, asked("age", Element::Int, 0, false)];
    let loaded = read(&folder.0, Format::Csv, "icu.csv", Some("who"), &fields);
    let [t, x, age] = <[_; 3]>::try_from(loaded.arrays).unwrap();
    assert_eq!((t.lengths, t.numbers), (Some(vec![2, 1]), Numbers::F64(vec![0.0, 1.5, 0.0])));
    assert_eq!(x.shape, [2, 2, 2]);
    assert_eq!(x.into_examples(true).to_f64(1), [70.0, 7.2, 70.0, 7.2]);
    assert_eq!(age.numbers, Numbers::I64(vec![30, 40]));
    let item = "data a = csv(\"icu.csv\", by = \"who\") { hr: [batch] }";
    assert_eq!(mistake(&folder.0, item), "error[E0706]: `hr` differs between the rows of `ann`");
    let item = "data a = csv(\"icu.csv\", by = \"who\") { hr: [batch, K] }";
    assert_eq!(mistake(&folder.0, item), "error[E0704]: `bob` has 1 row, another example 2");
    let item = "data a = csv(\"icu.csv\") { x: [batch, C] = columns(\"ph\"..\"hr\") }";
    assert_eq!(mistake(&folder.0, item), "error[E0703]: in `icu.csv` the column `ph` comes after `hr`");
}

#[test]
fn truth_values_in_a_table() {
    let folder = Folder::with("bool", &[("a.csv", "b\ntrue\n0\nFalse\n1\n"), ("c.csv", "b\n2\n")]);
    let data = data_in(&folder.0, "data a = csv(\"a.csv\") { b: bool[T] }").unwrap();
    assert_eq!(field(&data, "a.b", Part::Train).to_f64(0), [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(
        mistake(&folder.0, "data a = csv(\"c.csv\") { b: bool[T] }"),
        "error[E0705]: row 1, column `b`: expected `true` or `false`, found `2`"
    );
}

#[test]
fn rows_of_nan_at_the_end_are_padding() {
    let nan = f64::NAN;
    let bytes = nodec::data::npz::encoded(&[("x", &[2, 3], &[1.0, 2.0, nan, 3.0, nan, nan])]);
    let folder = Folder::with("nan", &[]);
    std::fs::write(folder.0.join("a.npz"), bytes).unwrap();
    let loaded = read(&folder.0, Format::Npz, "a.npz", None, &[asked("x", Element::Real, 1, true)]);
    assert_eq!(loaded.arrays[0].lengths, Some(vec![2, 1]));
    assert_eq!(loaded.arrays[0].shape, [2, 2]);
    assert_eq!(
        mistake(&folder.0, "data a = npz(\"a.npz\") { x: [batch, 3] }"),
        "error[E0705]: `a.npz`: `x[0, 2]` is NaN"
    );
}

#[test]
fn a_split_is_the_same_whatever_else_happens() {
    let rows: String = (0..10).map(|row| format!("{row}\n")).collect();
    let folder = Folder::with("split", &[("a.csv", &format!("x\n{rows}"))]);
    let item = "data a = csv(\"a.csv\", split = [0.6, 0.2, 0.2], seed = 3) { x: int[batch] }";
    let data = data_in(&folder.0, item).unwrap();
    assert_eq!(Part::ALL.map(|part| data.n_examples(part)), [Some(6), Some(2), Some(2)]);
    let numbers = |part| {
        let x = field(&data, "a.x", part);
        (0..x.len()).map(|example| x.to_f64(example)[0] as i64).collect::<Vec<_>>()
    };
    let mut all: Vec<i64> = Part::ALL.into_iter().flat_map(numbers).collect();
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
    // Without `batch` the rows of the only example are divided, in their order.
    let item = "data a = csv(\"a.csv\", split = [0.6, 0.2, 0.2], seed = 3) { x: int[T] }";
    let whole = data_in(&folder.0, item).unwrap();
    let mut train = numbers(Part::Train);
    train.sort_unstable();
    let found: Vec<i64> = field(&whole, "a.x", Part::Train).to_f64(0).iter().map(|x| *x as i64).collect();
    assert_eq!((found, whole.sizes().collect::<Vec<_>>()), (train, vec![("T", 6)]));
}

#[test]
fn declarations_to_paste() {
    let bytes = |name: &str| std::fs::read(files().join(name)).unwrap();
    assert_eq!(
        schema("plain.npz", &bytes("plain.npz")).unwrap(),
        "data plain = npz(\"plain.npz\") {\n  x: [batch, 3]\n  y: int[batch]\n}\n"
    );
    assert_eq!(
        schema("fortran_big.npy", &bytes("fortran_big.npy")).unwrap(),
        "data fortran_big = npy(\"fortran_big.npy\") {\n  x: [batch, 3]\n}\n"
    );
}

#[test]
fn a_const_that_is_set_may_be_a_size_of_the_schema() {
    let text = format!("const C = 4\ndata a = npz(\"plain.npz\") {{ x: [batch, C] }}\n{REST}");
    let model = Model::from_text("model.node", &text, files()).unwrap();
    assert!(model.bind().data().is_err());
    assert!(model.bind().set("C", 3.0).data().is_ok());
}

#[test]
fn mnist() {
    let Some(folder) = real("MNIST") else { return };
    let item = "data mnist = idx([\"t10k-images-idx3-ubyte.gz\", \"t10k-labels-idx1-ubyte.gz\"]) {\n\
                image: [batch, 28, 28]\n label: int[batch]\n}";
    let data = data_in(&folder.join("mnist"), item).unwrap();
    let (image, label) = (field(&data, "mnist.image", Part::Train), field(&data, "mnist.label", Part::Train));
    assert_eq!((image.len(), image.shape()), (10_000, [28, 28].as_slice()));
    let first = image.to_f64(0);
    assert_eq!((first.iter().sum::<f64>(), first[7 * 28 + 6]), (18454.0, 84.0));
    assert_eq!(image.to_f64(9999).iter().sum::<f64>(), 41833.0);
    assert_eq!([0, 1, 2, 3, 4, 9999].map(|i| label.to_f64(i)[0]), [7.0, 2.0, 1.0, 0.0, 4.0, 6.0]);
    let bytes = std::fs::read(folder.join("mnist/t10k-labels-idx1-ubyte.gz")).unwrap();
    let expected = "data t10k_labels_idx1_ubyte = idx(\"t10k-labels-idx1-ubyte.gz\") {\n  x: int[batch]\n}\n";
    assert_eq!(schema("t10k-labels-idx1-ubyte.gz", &bytes).unwrap(), expected);
}

#[test]
fn miniboone() {
    let Some(folder) = real("MINIBOONE") else { return };
    let item = "data boone = npy(train = \"val.npy\", test = \"test.npy\") { x: [batch, 43] }";
    let data = data_in(&folder.join("miniboone"), item).unwrap();
    let (train, test) = (field(&data, "boone.x", Part::Train), field(&data, "boone.x", Part::Test));
    assert_eq!((train.len(), test.len()), (3284, 3648));
    assert_eq!(train.to_f64(0)[0], -1.2124625996563256);
    assert_eq!(train.to_f64(3283)[42], -1.4248889859989249);
    assert_eq!(test.to_f64(1)[2], -0.30112018688751896);
}

#[test]
fn digits() {
    let Some(folder) = real("digits") else { return };
    let item = "data digits = csv(\"digits.csv.gz\") {\n\
                image: [batch, 64] = columns(\"p00\"..\"p77\")\n label: int[batch]\n}";
    let data = data_in(&folder.join("digits"), item).unwrap();
    let image = field(&data, "digits.image", Part::Train);
    assert_eq!((image.len(), image.to_f64(1796).iter().sum::<f64>()), (1797, 392.0));
    assert_eq!(image.to_f64(0)[..6], [0.0, 0.0, 5.0, 13.0, 9.0, 1.0]);
}

#[test]
fn japanese_vowels() {
    let Some(folder) = real("JapaneseVowels") else { return };
    let path = "JapaneseVowels_TRAIN.ts.gz";
    let named = |field: FieldRequest, column: &str| FieldRequest {
        columns: Columns::One(column.to_owned(), field.span),
        ..field
    };
    let fields = [
        named(asked("x", Element::Real, 2, true), "values"),
        named(asked("t", Element::Real, 1, true), "time"),
        named(asked("y", Element::Int, 0, false), "class"),
    ];
    let loaded = read(&folder.join("uea"), Format::Ts, path, None, &fields);
    let [x, t, y] = <[_; 3]>::try_from(loaded.arrays).unwrap().map(|array| array.into_examples(true));
    assert_eq!((x.len(), x.length(0), t.length(0), y.to_f64(0)), (270, 20, 20, vec![0.0]));
    let first = x.to_f64(0);
    assert_eq!([first[0], first[1], first[12]], [1.860936, -0.207383, 1.891651]);
    assert_eq!(t.to_f64(0)[..3], [0.0, 1.0, 2.0]);
    let bytes = std::fs::read(folder.join("uea").join(path)).unwrap();
    let expected = "data JapaneseVowels_TRAIN = ts(\"JapaneseVowels_TRAIN.ts.gz\") {\n  t: [batch, T?] = \
                    column(\"time\")\n  x: [batch, T?, 12] = column(\"values\")\n  y: int[batch] = \
                    column(\"class\")\n}\n";
    assert_eq!(schema(path, &bytes).unwrap(), expected);
}

#[test]
fn character_trajectories() {
    let Some(folder) = real("CharacterTrajectories") else { return };
    let folder = folder.join("character_trajectories");
    let one = |path: &str, field: FieldRequest| {
        let loaded = read(&folder, Format::Npy, path, None, std::slice::from_ref(&field));
        (loaded.arrays.into_iter().next().unwrap(), field)
    };
    let (values, x) = one("values.npy", asked("x", Element::Real, 2, true));
    let (lengths, n) = one("lengths.npy", asked("lengths", Element::Int, 0, false));
    let span = x.span;
    let place = |_| Place { path: "values.npy", span, folder: &folder };
    let mut sink = Sink::new();
    let packed = nodec::data::packed(vec![values, lengths], &[x, n], place, &mut sink).unwrap();
    let x = packed.into_iter().next().unwrap().into_examples(true);
    assert_eq!((x.len(), x.shape(), x.length(0), x.length(2)), (2858, [182, 3].as_slice(), 136, 143));
    let last = &x.to_f64(0)[135 * 3..136 * 3];
    assert_eq!(last.iter().map(|x| *x as f32).collect::<Vec<_>>(), [0.27269, 0.32305, -1.5856]);
}
