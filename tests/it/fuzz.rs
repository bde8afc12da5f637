//! Programs with typing mistakes: whatever is deleted, doubled or exchanged in a program of the
//! corpus, it is checked, and run where it can be, without a panic.

use nodec::Model;
use std::path::PathBuf;

/// A small generator of random numbers (xorshift64*, Vigna 2016), so that a case is its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }
}

/// Splits into words, numbers, single marks and spaces.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in text.chars() {
        let word = c.is_alphanumeric() || c == '_' || c == '.';
        match tokens.last_mut() {
            Some(last) if word && in_word => last.push(c),
            Some(_) | None => tokens.push(c.to_string()),
        }
        in_word = word;
    }
    tokens
}

fn mutated(text: &str, random: &mut Random) -> String {
    let by_line = random.below(3) == 0;
    let mut pieces: Vec<String> =
        if by_line { text.split_inclusive('\n').map(str::to_owned).collect() } else { tokens(text) };
    for _ in 0..=random.below(3) {
        let (i, j) = (random.below(pieces.len()), random.below(pieces.len()));
        match random.below(4) {
            0 if pieces.len() > 1 => drop(pieces.remove(i)),
            1 => pieces.insert(i, pieces[j].clone()),
            2 => pieces.swap(i, j),
            _ => pieces[i] = pieces[j].clone(),
        }
    }
    pieces.concat()
}

#[test]
fn mistakes_never_panic() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/programs");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut corpus: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    corpus.push(
        "param mu = 2.0\nconst c = [1, 2]\ntime t in 0..1\nstate x = 2.0, x' = 0.0\nstate z: [2] = [1, 0]\n\
                 let V = dot(z, z)/2 + c[1]\nx'' = mu*(1 - x^2)*x' - x\nz' = -grad(V, z) + [sin(t), x]\n\
                 channel w' = div(z') + sumsq(z'')\noutput e = w(end)\nplot x, z[0] vs t\n"
            .to_owned(),
    );
    let count = std::env::var("NODEC_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(1500);
    let seed0: u64 = std::env::var("NODEC_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for seed in seed0..seed0 + count {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let last = corpus.len() - 1;
        let which = if random.below(2) == 0 { last } else { random.below(corpus.len()) };
        let text = mutated(&corpus[which], &mut random);
        let result = std::panic::catch_unwind(|| {
            if let Ok(model) = Model::from_text("m.node", &text, PathBuf::from("no/such/folder"))
                && which == last
                && let Ok(run) = model.bind().setting("solve.max_steps", "200").build()
            {
                let _ = run.solve();
            }
        });
        assert!(result.is_ok(), "seed {seed} panics:\n{text}");
    }
}
