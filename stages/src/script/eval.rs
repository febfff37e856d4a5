//! The value of an expression.
//!
//! A [`Value`] is an address (or plain number) and, where it moves with a section, that section. All
//! arithmetic is on addresses in 64 bits with wrap-around, unsigned except for division and remainder, as
//! GNU ld computes. Which results stay relative to a section:
//!
//! | expression | relative to |
//! |---|---|
//! | a symbol, `.`, `ADDR(s)` | its section |
//! | `a + n`, `n + a`, `a - n`, `a & n`, `a \| n`, `a ^ n`, `ALIGN(a, n)`, with `n` absolute | `a`'s section |
//! | `c ? a : b`, `ASSERT(a, m)` | what is chosen |
//! | anything else: numbers, `a - b`, `a * n`, `-a`, `ABSOLUTE(a)`, `MAX(a, b)` ... | nothing |
//!
//! So `--defsym alias=f+4` still follows `f` when a position independent output is loaded elsewhere. lld has
//! the same rule; GNU ld makes `f+4` absolute outside of `SECTIONS`, which no loader could relocate. In a
//! position dependent output the values are equal.

use super::expr::{BinaryOp, Expr, Function, NamedFunction, UnaryOp};
use std::fmt;

/// What an expression came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<S> {
    /// The number; for a section-relative value its address.
    pub value: u64,
    /// The section it moves with; `None` is absolute.
    pub section: Option<S>,
}

impl<S> Value<S> {
    /// A number.
    pub fn absolute(value: u64) -> Self {
        Value { value, section: None }
    }
    /// An address inside a section.
    pub fn relative(value: u64, section: S) -> Self {
        Value { value, section: Some(section) }
    }
}

/// What expressions may ask about an output section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectionFacts<S> {
    /// Its identity.
    pub section: S,
    /// Its address.
    pub address: u64,
    /// Its load address (LMA).
    pub load_address: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Its alignment in bytes.
    pub alignment: u64,
}

/// What expressions are evaluated in. Only [`Env::symbol`] has no default answer.
pub trait Env {
    /// How sections are identified.
    type Section: Copy;

    /// A symbol's value; `None` if nothing defines it.
    fn symbol(&self, name: &[u8]) -> Option<Value<Self::Section>>;
    /// Whether `DEFINED(name)` holds.
    fn is_defined(&self, name: &[u8]) -> bool {
        self.symbol(name).is_some()
    }
    /// The location counter; `None` where there is none.
    fn dot(&self) -> Option<Value<Self::Section>> {
        None
    }
    /// An output section by name; `None` if there is none.
    fn section(&self, name: &[u8]) -> Option<SectionFacts<Self::Section>> {
        let _ = name;
        None
    }
    /// Bytes of the ELF header and the program headers.
    fn headers_size(&self) -> Option<u64> {
        None
    }
    /// `CONSTANT(MAXPAGESIZE)`.
    fn max_page_size(&self) -> u64 {
        0x1000
    }
    /// `CONSTANT(COMMONPAGESIZE)`.
    fn common_page_size(&self) -> u64 {
        0x1000
    }
    /// What the command line gives for `SEGMENT_START(name, ...)`.
    fn segment_start(&self, name: &[u8]) -> Option<u64> {
        let _ = name;
        None
    }
    /// Origin and length of a `MEMORY` region.
    fn memory_region(&self, name: &[u8]) -> Option<(u64, u64)> {
        let _ = name;
        None
    }
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvalError {
    /// A symbol nothing defines.
    UndefinedSymbol(Vec<u8>),
    /// A section the output does not have.
    UndefinedSection(Vec<u8>),
    /// A region `MEMORY` does not declare.
    UndefinedRegion(Vec<u8>),
    /// `CONSTANT()` of something else than the two page sizes.
    UnknownConstant(Vec<u8>),
    /// The right side of `/` or `%` (as named) is zero.
    DivisionByZero(&'static str),
    /// An alignment that is not a power of two.
    BadAlignment(u64),
    /// `.` or `SIZEOF_HEADERS` (as named) where it has no meaning.
    NoContext(&'static str),
    /// An `ASSERT` that does not hold: its message.
    AssertionFailed(Vec<u8>),
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        match self {
            EvalError::UndefinedSymbol(name) => {
                write!(f, "undefined symbol `{}` referenced in expression", text(name))
            }
            EvalError::UndefinedSection(name) => {
                write!(f, "undefined section `{}` referenced in expression", text(name))
            }
            EvalError::UndefinedRegion(name) => {
                write!(f, "undefined memory region `{}` referenced in expression", text(name))
            }
            EvalError::UnknownConstant(name) => {
                write!(f, "unknown constant `{}` referenced in expression", text(name))
            }
            EvalError::DivisionByZero(op) => write!(f, "`{op}` by zero in expression"),
            EvalError::BadAlignment(n) => write!(f, "alignment {n:#x} is not a power of two"),
            EvalError::NoContext(what) => write!(f, "`{what}` has no value here"),
            EvalError::AssertionFailed(message) => write!(f, "{}", text(message)),
        }
    }
}

impl std::error::Error for EvalError {}

impl Expr {
    /// The value of the expression in `env`. Both arms of `?:`, and both sides of `&&` and `||`, are
    /// evaluated only when C would.
    pub fn eval<E: Env>(&self, env: &E) -> Result<Value<E::Section>, EvalError> {
        match self {
            Expr::Number(number) => Ok(Value::absolute(*number)),
            Expr::Symbol(name) => env.symbol(name).ok_or_else(|| EvalError::UndefinedSymbol(name.clone())),
            Expr::Dot => env.dot().ok_or(EvalError::NoContext(".")),
            Expr::SizeofHeaders => {
                let size = env.headers_size().ok_or(EvalError::NoContext("SIZEOF_HEADERS"))?;
                Ok(Value::absolute(size))
            }
            Expr::Unary(op, a) => {
                let a = a.eval(env)?.value;
                Ok(Value::absolute(match op {
                    UnaryOp::Negate => a.wrapping_neg(),
                    UnaryOp::BitNot => !a,
                    UnaryOp::LogicalNot => u64::from(a == 0),
                }))
            }
            Expr::Binary(BinaryOp::LogicalAnd, a, b) => {
                let truth = a.eval(env)?.value != 0 && b.eval(env)?.value != 0;
                Ok(Value::absolute(truth.into()))
            }
            Expr::Binary(BinaryOp::LogicalOr, a, b) => {
                let truth = a.eval(env)?.value != 0 || b.eval(env)?.value != 0;
                Ok(Value::absolute(truth.into()))
            }
            Expr::Binary(op, a, b) => binary(*op, a.eval(env)?, b.eval(env)?),
            Expr::Conditional(parts) => {
                let [condition, yes, no] = &**parts;
                if condition.eval(env)?.value != 0 { yes.eval(env) } else { no.eval(env) }
            }
            Expr::Call(function, arguments) => call(*function, arguments, env),
            Expr::Named(function, name) => named(*function, name, env),
            Expr::SegmentStart(name, default) => match env.segment_start(name) {
                Some(address) => Ok(Value::absolute(address)),
                None => default.eval(env),
            },
            Expr::Assert(condition, message) => {
                let value = condition.eval(env)?;
                if value.value == 0 {
                    return Err(EvalError::AssertionFailed(message.clone()));
                }
                Ok(value)
            }
        }
    }
}

fn binary<S: Copy>(op: BinaryOp, a: Value<S>, b: Value<S>) -> Result<Value<S>, EvalError> {
    let (x, y) = (a.value, b.value);
    let truth = |truth: bool| Ok(Value::absolute(truth.into()));
    // The section of the one relative operand, for operators that move an address within its section.
    let one_section = match (a.section, b.section) {
        (Some(section), None) | (None, Some(section)) => Some(section),
        _ => None,
    };
    let moved = |value: u64, section: Option<S>| Ok(Value { value, section });
    match op {
        BinaryOp::Add => moved(x.wrapping_add(y), one_section),
        BinaryOp::Subtract => moved(x.wrapping_sub(y), if b.section.is_none() { a.section } else { None }),
        BinaryOp::BitAnd => moved(x & y, one_section),
        BinaryOp::BitOr => moved(x | y, one_section),
        BinaryOp::BitXor => moved(x ^ y, one_section),
        BinaryOp::Multiply => Ok(Value::absolute(x.wrapping_mul(y))),
        BinaryOp::Divide | BinaryOp::Remainder if y == 0 => Err(EvalError::DivisionByZero(op.symbol())),
        BinaryOp::Divide => {
            Ok(Value::absolute(x.cast_signed().wrapping_div(y.cast_signed()).cast_unsigned()))
        }
        BinaryOp::Remainder => {
            Ok(Value::absolute(x.cast_signed().wrapping_rem(y.cast_signed()).cast_unsigned()))
        }
        BinaryOp::ShiftLeft => Ok(Value::absolute(shift_count(y).map_or(0, |n| x << n))),
        BinaryOp::ShiftRight => Ok(Value::absolute(shift_count(y).map_or(0, |n| x >> n))),
        BinaryOp::Less => truth(x < y),
        BinaryOp::LessEqual => truth(x <= y),
        BinaryOp::Greater => truth(x > y),
        BinaryOp::GreaterEqual => truth(x >= y),
        BinaryOp::Equal => truth(x == y),
        BinaryOp::NotEqual => truth(x != y),
        BinaryOp::LogicalAnd => truth(x != 0 && y != 0),
        BinaryOp::LogicalOr => truth(x != 0 || y != 0),
    }
}

/// A shift count below 64; shifting further leaves nothing.
fn shift_count(count: u64) -> Option<u32> {
    u32::try_from(count).ok().filter(|count| *count < u64::BITS)
}

fn call<E: Env>(function: Function, arguments: &[Expr], env: &E) -> Result<Value<E::Section>, EvalError> {
    let argument = |index: usize| match arguments.get(index) {
        Some(expr) => expr.eval(env),
        None => Err(EvalError::NoContext("missing argument")),
    };
    match function {
        Function::Absolute => Ok(Value::absolute(argument(0)?.value)),
        Function::Align => {
            let (start, alignment) = match arguments.len() {
                1 => (env.dot().ok_or(EvalError::NoContext("."))?, argument(0)?.value),
                _ => (argument(0)?, argument(1)?.value),
            };
            align(start, alignment)
        }
        Function::Max => Ok(Value::absolute(argument(0)?.value.max(argument(1)?.value))),
        Function::Min => Ok(Value::absolute(argument(0)?.value.min(argument(1)?.value))),
        Function::Log2Ceil => {
            let value = argument(0)?.value;
            let floor = value.checked_ilog2().unwrap_or(0);
            Ok(Value::absolute((floor + u32::from(value > 1 && !value.is_power_of_two())).into()))
        }
        // The manual's first form: (ALIGN(max) + (. & (max - 1))). The second form saves at most a page of
        // memory and needs a layout loop; which one is used is the linker's choice.
        Function::DataSegmentAlign => {
            let dot = env.dot().ok_or(EvalError::NoContext("."))?;
            let page = argument(0)?.value;
            argument(1)?;
            let aligned = align(dot, page)?;
            let within = dot.value & page.saturating_sub(1);
            Ok(Value { value: aligned.value.wrapping_add(within), section: aligned.section })
        }
        // Padding to the end of RELRO, so that it ends on a page.
        Function::DataSegmentRelroEnd => {
            let (offset, end) = (argument(0)?.value, argument(1)?);
            let shifted = Value { value: end.value.wrapping_add(offset), section: end.section };
            let aligned = align(shifted, env.common_page_size())?;
            Ok(Value { value: aligned.value.wrapping_sub(offset), section: aligned.section })
        }
        Function::DataSegmentEnd => argument(0),
    }
}

/// `start` rounded up to `alignment`, 0 and 1 meaning no alignment.
fn align<S>(start: Value<S>, alignment: u64) -> Result<Value<S>, EvalError> {
    if alignment <= 1 {
        return Ok(start);
    }
    if !alignment.is_power_of_two() {
        return Err(EvalError::BadAlignment(alignment));
    }
    let mask = alignment - 1;
    Ok(Value { value: start.value.wrapping_add(mask) & !mask, section: start.section })
}

fn named<E: Env>(function: NamedFunction, name: &[u8], env: &E) -> Result<Value<E::Section>, EvalError> {
    let section = || env.section(name).ok_or_else(|| EvalError::UndefinedSection(name.to_vec()));
    let region = || env.memory_region(name).ok_or_else(|| EvalError::UndefinedRegion(name.to_vec()));
    match function {
        NamedFunction::Addr => {
            let facts = section()?;
            Ok(Value::relative(facts.address, facts.section))
        }
        NamedFunction::LoadAddr => Ok(Value::absolute(section()?.load_address)),
        NamedFunction::Sizeof => Ok(Value::absolute(section()?.size)),
        NamedFunction::Alignof => Ok(Value::absolute(section()?.alignment)),
        NamedFunction::Defined => Ok(Value::absolute(env.is_defined(name).into())),
        NamedFunction::Origin => Ok(Value::absolute(region()?.0)),
        NamedFunction::Length => Ok(Value::absolute(region()?.1)),
        NamedFunction::Constant => match name {
            b"MAXPAGESIZE" => Ok(Value::absolute(env.max_page_size())),
            b"COMMONPAGESIZE" => Ok(Value::absolute(env.common_page_size())),
            _ => Err(EvalError::UnknownConstant(name.to_vec())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_expr;
    use super::*;

    /// `.text` is section 1 at 0x401000, `.data` section 2 at 0x402000; `foo` and `dat` lie in them.
    struct Sample;

    impl Env for Sample {
        type Section = u32;
        fn symbol(&self, name: &[u8]) -> Option<Value<u32>> {
            match name {
                b"foo" => Some(Value::relative(0x401001, 1)),
                b"_start" => Some(Value::relative(0x401000, 1)),
                b"dat" => Some(Value::relative(0x402000, 2)),
                b"five" => Some(Value::absolute(5)),
                _ => None,
            }
        }
        fn dot(&self) -> Option<Value<u32>> {
            Some(Value::relative(0x402003, 2))
        }
        fn section(&self, name: &[u8]) -> Option<SectionFacts<u32>> {
            let facts =
                SectionFacts { section: 2, address: 0x402000, load_address: 0x9000, size: 16, alignment: 8 };
            (name == b".data").then_some(facts)
        }
        fn headers_size(&self) -> Option<u64> {
            Some(0xe8)
        }
        fn memory_region(&self, name: &[u8]) -> Option<(u64, u64)> {
            (name == b"rom").then_some((0x100, 0x20))
        }
    }

    fn eval(text: &str) -> Result<(u64, Option<u32>), EvalError> {
        parse_expr(text.as_bytes()).unwrap().eval(&Sample).map(|v| (v.value, v.section))
    }

    #[test]
    fn values_follow_sections_where_the_table_says() {
        for (text, value, section) in [
            ("foo", 0x401001, Some(1)),
            ("foo+4", 0x401005, Some(1)),
            ("4+foo", 0x401005, Some(1)),
            ("foo-1", 0x401000, Some(1)),
            ("foo & ~0xfff", 0x401000, Some(1)),
            ("dat-foo", 0xfff, None),
            ("foo-_start", 1, None),
            ("foo+dat", 0x803001, None),
            ("foo*2", 0x802002, None),
            ("-foo", 0x401001u64.wrapping_neg(), None),
            ("ABSOLUTE(foo)", 0x401001, None),
            ("ALIGN(foo, 4096)", 0x402000, Some(1)),
            ("ALIGN(8)", 0x402008, Some(2)),
            ("ADDR(.data)", 0x402000, Some(2)),
            ("1 ? foo : five", 0x401001, Some(1)),
            ("five ? five : foo", 5, None),
            ("MAX(foo, 4)", 0x401001, None),
            (".", 0x402003, Some(2)),
        ] {
            assert_eq!(eval(text), Ok((value, section)), "{text}");
        }
    }

    #[test]
    fn arithmetic_is_that_of_ld() {
        for (text, value) in [
            ("-7/2", (-3i64).cast_unsigned()),
            ("-7%2", (-1i64).cast_unsigned()),
            ("-8>>1", 0x7fff_ffff_ffff_fffc),
            ("-1<2", 0),
            ("1<2", 1),
            ("1<<64", 0),
            ("1<<63", 1 << 63),
            ("(1<<63)/-1", 1 << 63),
            ("!5", 0),
            ("~0", u64::MAX),
            ("1||1/0", 1),
            ("0&&1/0", 0),
            ("LOG2CEIL(0)", 0),
            ("LOG2CEIL(1)", 0),
            ("LOG2CEIL(100)", 7),
            ("LOG2CEIL(128)", 7),
            ("LOG2CEIL(-1)", 64),
            ("MIN(3, five)", 3),
            ("SIZEOF(.data)+ALIGNOF(.data)", 24),
            ("LOADADDR(.data)", 0x9000),
            ("SIZEOF_HEADERS", 0xe8),
            ("CONSTANT(COMMONPAGESIZE)", 0x1000),
            ("DEFINED(foo)*2+DEFINED(nosuch)", 2),
            ("SEGMENT_START(\"text-segment\", 0x4000)", 0x4000),
            ("ORIGIN(rom)+LENGTH(rom)", 0x120),
            ("ASSERT(3, \"never\")", 3),
            ("DATA_SEGMENT_ALIGN(4096, 4096)", 0x403003),
            ("DATA_SEGMENT_RELRO_END(16, .)", 0x402ff0),
        ] {
            assert_eq!(eval(text).map(|v| v.0), Ok(value), "{text}");
        }
    }

    #[test]
    fn errors_say_what_is_missing() {
        for (text, message) in [
            ("nosuch+4", "undefined symbol `nosuch` referenced in expression"),
            ("SIZEOF(.nosuch)", "undefined section `.nosuch` referenced in expression"),
            ("CONSTANT(FOO)", "unknown constant `FOO` referenced in expression"),
            ("ORIGIN(ram)", "undefined memory region `ram` referenced in expression"),
            ("7%0", "`%` by zero in expression"),
            ("7/(1-1)", "`/` by zero in expression"),
            ("ALIGN(foo, 3)", "alignment 0x3 is not a power of two"),
            ("ASSERT(0, \"hey\")", "hey"),
        ] {
            assert_eq!(eval(text).unwrap_err().to_string(), message, "{text}");
        }
    }
}
