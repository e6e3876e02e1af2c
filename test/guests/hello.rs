// Collections, formatting, closures, a caught panic, integer and float arithmetic.
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
#[allow(dead_code)]
enum Token {
    Number(f64),
    Word(String),
}

fn tokens(text: &str) -> Vec<Token> {
    text.split_whitespace()
        .map(|w| w.parse().map(Token::Number).unwrap_or_else(|_| Token::Word(w.to_string())))
        .collect()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    println!("Hello from Rust, {} argument(s) {:?}", args.len(), args);
    println!("{:?}", tokens("1 two 3.5 four -5e3"));
    let mut counts = BTreeMap::new();
    for c in "the quick brown fox jumps over the lazy dog".chars().filter(|c| c.is_alphabetic()) {
        *counts.entry(c).or_insert(0u32) += 1;
    }
    println!("{:?}", counts);
    let primes: Vec<u64> = (2..200).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).collect();
    println!("{} primes, sum {}, product of the first ten {}", primes.len(), primes.iter().sum::<u64>(), primes[..10].iter().product::<u64>());
    println!("{:.10} {:e} {} {}", 2f64.sqrt(), 1.0e-7, f64::MAX, 0.1 + 0.2);
    println!("{:?} {:?}", 255u8.checked_add(1), (i128::MAX / 3).leading_zeros());
    std::panic::set_hook(Box::new(|_| println!("a panic")));
    let caught = std::panic::catch_unwind(|| {
        let v: Vec<i32> = Vec::new();
        v[std::env::args().count() - 1]
    });
    println!("caught: {}", caught.is_err());
    eprintln!("a line on stderr");
    std::process::exit(5);
}
