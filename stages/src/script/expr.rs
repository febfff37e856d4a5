//! Expressions of the script language: the tree and its parser (GNU ld manual, "Expressions").
//!
//! The grammar is C's, without assignment and comma inside an expression, plus the built-in functions. The
//! tree is data; [`super::eval`] gives it a value once symbols and sections have addresses. Parsing is
//! precedence climbing over one table, [`BINARY`], which can be read against any book on C.
//!
//! Invariants: the parser recurses at most [`NESTING_MAX`] levels and a tree is at most [`DEPTH_MAX`] nodes
//! deep, so that whoever walks (or drops) a tree may recurse on an ordinary worker's stack.
//!
//! Not taken over from GNU ld: `NEXT` with its historical meaning (an alignment of `.` in all but name) is
//! read as [`Function::Align`]; names of the built-in functions are functions only before a `(`, so that
//! a symbol may be called `MAX`.

use super::lexer::{Lexer, Mode, ScriptError, Token};

/// How deep parentheses, unary operators, functions and conditionals may nest.
const NESTING_MAX: u32 = 200;
/// How deep a tree may become, for instance through a long sum.
const DEPTH_MAX: u32 = 500;

/// An expression of the script language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// A number.
    Number(u64),
    /// A symbol's value.
    Symbol(Vec<u8>),
    /// `.`, the location counter.
    Dot,
    /// `-a`, `~a`, `!a` (`+a` is `a`).
    Unary(UnaryOp, Box<Expr>),
    /// `a + b` and the rest.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `a ? b : c`.
    Conditional(Box<[Expr; 3]>),
    /// A function of values.
    Call(Function, Vec<Expr>),
    /// A question about a section, a symbol or another name.
    Named(NamedFunction, Vec<u8>),
    /// `SEGMENT_START("text-segment", default)`: the address `-Ttext-segment` and relatives give, or the default.
    SegmentStart(Vec<u8>, Box<Expr>),
    /// `SIZEOF_HEADERS`: bytes of the file and program headers.
    SizeofHeaders,
    /// `ASSERT(condition, message)`: the condition's value, and an error when it is zero.
    Assert(Box<Expr>, Vec<u8>),
}

/// Operators with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum UnaryOp {
    Negate,
    BitNot,
    LogicalNot,
}

/// Operators with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "C's operators by their usual names")]
pub enum BinaryOp {
    Multiply,
    Divide,
    Remainder,
    Add,
    Subtract,
    ShiftLeft,
    ShiftRight,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    BitAnd,
    BitXor,
    BitOr,
    LogicalAnd,
    LogicalOr,
}

/// Binary operators and how tightly they bind, as in C.
const BINARY: [(&str, BinaryOp, u8); 18] = [
    ("*", BinaryOp::Multiply, 10),
    ("/", BinaryOp::Divide, 10),
    ("%", BinaryOp::Remainder, 10),
    ("+", BinaryOp::Add, 9),
    ("-", BinaryOp::Subtract, 9),
    ("<<", BinaryOp::ShiftLeft, 8),
    (">>", BinaryOp::ShiftRight, 8),
    ("<", BinaryOp::Less, 7),
    ("<=", BinaryOp::LessEqual, 7),
    (">", BinaryOp::Greater, 7),
    (">=", BinaryOp::GreaterEqual, 7),
    ("==", BinaryOp::Equal, 6),
    ("!=", BinaryOp::NotEqual, 6),
    ("&", BinaryOp::BitAnd, 5),
    ("^", BinaryOp::BitXor, 4),
    ("|", BinaryOp::BitOr, 3),
    ("&&", BinaryOp::LogicalAnd, 2),
    ("||", BinaryOp::LogicalOr, 1),
];

impl BinaryOp {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        BINARY.iter().find(|row| row.1 == self).map_or("?", |row| row.0)
    }
}

/// Built-in functions whose arguments are values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `ABSOLUTE(a)`: the address, no longer relative to a section.
    Absolute,
    /// `ALIGN(n)`: `.` rounded up to a multiple of `n`; `ALIGN(a, n)`: `a` rounded up. Also `BLOCK(n)`, `NEXT(n)`.
    Align,
    /// `MAX(a, b)`.
    Max,
    /// `MIN(a, b)`.
    Min,
    /// `LOG2CEIL(a)`: the smallest `n` with `1 << n >= a`.
    Log2Ceil,
    /// `DATA_SEGMENT_ALIGN(maxpagesize, commonpagesize)`.
    DataSegmentAlign,
    /// `DATA_SEGMENT_RELRO_END(offset, a)`.
    DataSegmentRelroEnd,
    /// `DATA_SEGMENT_END(a)`.
    DataSegmentEnd,
}

/// Names of [`Function`]s and how many arguments they take.
const FUNCTIONS: [(&str, Function, std::ops::RangeInclusive<usize>); 10] = [
    ("ABSOLUTE", Function::Absolute, 1..=1),
    ("ALIGN", Function::Align, 1..=2),
    ("BLOCK", Function::Align, 1..=1),
    ("NEXT", Function::Align, 1..=1),
    ("MAX", Function::Max, 2..=2),
    ("MIN", Function::Min, 2..=2),
    ("LOG2CEIL", Function::Log2Ceil, 1..=1),
    ("DATA_SEGMENT_ALIGN", Function::DataSegmentAlign, 2..=2),
    ("DATA_SEGMENT_RELRO_END", Function::DataSegmentRelroEnd, 2..=2),
    ("DATA_SEGMENT_END", Function::DataSegmentEnd, 1..=1),
];

/// Built-in functions whose argument is a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedFunction {
    /// `ADDR(section)`: its address, relative to it.
    Addr,
    /// `LOADADDR(section)`: its load address.
    LoadAddr,
    /// `SIZEOF(section)` in bytes.
    Sizeof,
    /// `ALIGNOF(section)` in bytes.
    Alignof,
    /// `DEFINED(symbol)`: 1 or 0.
    Defined,
    /// `ORIGIN(region)` of `MEMORY`.
    Origin,
    /// `LENGTH(region)` of `MEMORY`.
    Length,
    /// `CONSTANT(MAXPAGESIZE)` or `CONSTANT(COMMONPAGESIZE)`.
    Constant,
}

/// Names of [`NamedFunction`]s.
const NAMED_FUNCTIONS: [(&str, NamedFunction); 8] = [
    ("ADDR", NamedFunction::Addr),
    ("LOADADDR", NamedFunction::LoadAddr),
    ("SIZEOF", NamedFunction::Sizeof),
    ("ALIGNOF", NamedFunction::Alignof),
    ("DEFINED", NamedFunction::Defined),
    ("ORIGIN", NamedFunction::Origin),
    ("LENGTH", NamedFunction::Length),
    ("CONSTANT", NamedFunction::Constant),
];

/// Parses all of `text` as one expression: what stands right of the `=` in `--defsym NAME=EXPR`.
pub fn parse_expr(text: &[u8]) -> Result<Expr, ScriptError> {
    let mut lexer = Lexer::new(text, "");
    let expr = parse(&mut lexer)?;
    match lexer.next(Mode::Expression)? {
        Token::End => Ok(expr),
        token => Err(lexer.error(format!("unexpected {token} after the expression"))),
    }
}

/// Parses the longest expression at the lexer's position.
pub(super) fn parse(lexer: &mut Lexer<'_>) -> Result<Expr, ScriptError> {
    Parser { lexer, nesting: 0 }.conditional().map(|tree| tree.expr)
}

impl Expr {
    /// Calls `visit` with every symbol the value depends on (also through `DEFINED`), in reading order.
    pub fn for_each_symbol<'a>(&'a self, visit: &mut dyn FnMut(&'a [u8])) {
        match self {
            Expr::Number(_) | Expr::Dot | Expr::SizeofHeaders => {}
            Expr::Symbol(name) | Expr::Named(NamedFunction::Defined, name) => visit(name),
            Expr::Named(..) => {}
            Expr::Unary(_, a) | Expr::SegmentStart(_, a) | Expr::Assert(a, _) => a.for_each_symbol(visit),
            Expr::Binary(_, a, b) => {
                a.for_each_symbol(visit);
                b.for_each_symbol(visit);
            }
            Expr::Conditional(parts) => parts.iter().for_each(|part| part.for_each_symbol(visit)),
            Expr::Call(_, parts) => parts.iter().for_each(|part| part.for_each_symbol(visit)),
        }
    }

    /// The other symbol's name if the expression is nothing but a symbol, so that `--defsym a=b` can take
    /// over `b`'s type, size and section.
    pub fn as_symbol(&self) -> Option<&[u8]> {
        match self {
            Expr::Symbol(name) => Some(name),
            _ => None,
        }
    }
}

/// A tree and its depth, so that a parent knows its own.
struct Tree {
    expr: Expr,
    depth: u32,
}

struct Parser<'l, 'a> {
    lexer: &'l mut Lexer<'a>,
    nesting: u32,
}

impl Parser<'_, '_> {
    fn grow(&self, depth: u32, expr: Expr) -> Result<Tree, ScriptError> {
        if depth >= DEPTH_MAX {
            return Err(self.lexer.error("expression is too long"));
        }
        Ok(Tree { expr, depth: depth + 1 })
    }

    fn conditional(&mut self) -> Result<Tree, ScriptError> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(self.lexer.error("expression nests too deeply"));
        }
        let mut tree = self.binary(1)?;
        if self.lexer.accept(Mode::Expression, "?")? {
            let yes = self.conditional()?;
            self.lexer.expect(Mode::Expression, ":")?;
            let no = self.conditional()?;
            let depth = tree.depth.max(yes.depth).max(no.depth);
            tree = self.grow(depth, Expr::Conditional(Box::new([tree.expr, yes.expr, no.expr])))?;
        }
        self.nesting -= 1;
        Ok(tree)
    }

    /// Operators that bind at least as tightly as `minimum`; all of them associate to the left.
    fn binary(&mut self, minimum: u8) -> Result<Tree, ScriptError> {
        let mut left = self.unary()?;
        loop {
            let Token::Mark(mark) = self.lexer.peek(Mode::Expression)? else { return Ok(left) };
            let Some((_, op, tightness)) = BINARY.into_iter().find(|row| row.0 == mark && row.2 >= minimum)
            else {
                return Ok(left);
            };
            self.lexer.next(Mode::Expression)?;
            let right = self.binary(tightness + 1)?;
            let depth = left.depth.max(right.depth);
            left = self.grow(depth, Expr::Binary(op, Box::new(left.expr), Box::new(right.expr)))?;
        }
    }

    fn unary(&mut self) -> Result<Tree, ScriptError> {
        let op = match self.lexer.peek(Mode::Expression)? {
            Token::Mark("-") => Some(UnaryOp::Negate),
            Token::Mark("~") => Some(UnaryOp::BitNot),
            Token::Mark("!") => Some(UnaryOp::LogicalNot),
            Token::Mark("+") => None,
            _ => return self.primary(),
        };
        self.lexer.next(Mode::Expression)?;
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(self.lexer.error("expression nests too deeply"));
        }
        let operand = self.unary()?;
        self.nesting -= 1;
        match op {
            Some(op) => self.grow(operand.depth, Expr::Unary(op, Box::new(operand.expr))),
            None => Ok(operand),
        }
    }

    fn primary(&mut self) -> Result<Tree, ScriptError> {
        let expr = match self.lexer.next(Mode::Expression)? {
            Token::Number(number) => Expr::Number(number),
            Token::Quoted(name) if !name.is_empty() => Expr::Symbol(name.to_vec()),
            Token::Mark("(") => {
                let tree = self.conditional()?;
                self.lexer.expect(Mode::Expression, ")")?;
                return Ok(tree);
            }
            Token::Word(b".") => Expr::Dot,
            Token::Word(b"SIZEOF_HEADERS") => Expr::SizeofHeaders,
            Token::Word(name) if self.lexer.peek(Mode::Expression)? == Token::Mark("(") => {
                return self.call(name);
            }
            Token::Word(name) => Expr::Symbol(name.to_vec()),
            token => return Err(self.lexer.error(format!("expected an expression, found {token}"))),
        };
        self.grow(0, expr)
    }

    /// A function, its name already read, the `(` not yet.
    fn call(&mut self, name: &[u8]) -> Result<Tree, ScriptError> {
        if let Some((_, function)) = NAMED_FUNCTIONS.into_iter().find(|row| row.0.as_bytes() == name) {
            self.lexer.expect(Mode::Expression, "(")?;
            let argument = self.lexer.name(Mode::Files, "a name")?.to_vec();
            self.lexer.expect(Mode::Expression, ")")?;
            return self.grow(0, Expr::Named(function, argument));
        }
        if name == b"SEGMENT_START" {
            self.lexer.expect(Mode::Expression, "(")?;
            let segment = self.lexer.name(Mode::Files, "a segment's name")?.to_vec();
            self.lexer.expect(Mode::Expression, ",")?;
            let default = self.conditional()?;
            self.lexer.expect(Mode::Expression, ")")?;
            return self.grow(default.depth, Expr::SegmentStart(segment, Box::new(default.expr)));
        }
        if name == b"ASSERT" {
            let (condition, message) = self.assert()?;
            return self.grow(condition.depth, Expr::Assert(Box::new(condition.expr), message));
        }
        let Some((_, function, arity)) = FUNCTIONS.into_iter().find(|row| row.0.as_bytes() == name) else {
            return Err(self.lexer.error(format!("unknown function `{}`", String::from_utf8_lossy(name))));
        };
        self.lexer.expect(Mode::Expression, "(")?;
        let mut arguments = Vec::new();
        let mut depth = 0;
        loop {
            let argument = self.conditional()?;
            depth = depth.max(argument.depth);
            arguments.push(argument.expr);
            if !self.lexer.accept(Mode::Expression, ",")? {
                break;
            }
        }
        self.lexer.expect(Mode::Expression, ")")?;
        if !arity.contains(&arguments.len()) {
            let name = String::from_utf8_lossy(name);
            let message = format!("{name} does not take {} arguments", arguments.len());
            return Err(self.lexer.error(message));
        }
        self.grow(depth, Expr::Call(function, arguments))
    }

    /// `(condition, message)` of an `ASSERT`.
    fn assert(&mut self) -> Result<(Tree, Vec<u8>), ScriptError> {
        self.lexer.expect(Mode::Expression, "(")?;
        let condition = self.conditional()?;
        self.lexer.expect(Mode::Expression, ",")?;
        let message = self.lexer.name(Mode::Files, "a message")?.to_vec();
        self.lexer.expect(Mode::Expression, ")")?;
        Ok((condition, message))
    }
}

/// `(condition, message)` after the word `ASSERT`.
pub(super) fn parse_assert(lexer: &mut Lexer<'_>) -> Result<(Expr, Vec<u8>), ScriptError> {
    Parser { lexer, nesting: 0 }.assert().map(|(tree, message)| (tree.expr, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree with every operator in parentheses.
    fn show(expr: &Expr) -> String {
        match expr {
            Expr::Number(n) => n.to_string(),
            Expr::Symbol(name) => String::from_utf8_lossy(name).into_owned(),
            Expr::Dot => ".".into(),
            Expr::Unary(op, a) => format!("({op:?} {})", show(a)),
            Expr::Binary(op, a, b) => format!("({} {} {})", show(a), op.symbol(), show(b)),
            Expr::Conditional(p) => format!("({} ? {} : {})", show(&p[0]), show(&p[1]), show(&p[2])),
            Expr::Call(f, p) => format!("{f:?}({})", p.iter().map(show).collect::<Vec<_>>().join(", ")),
            Expr::Named(f, name) => format!("{f:?}({})", String::from_utf8_lossy(name)),
            Expr::SegmentStart(s, a) => format!("SegmentStart({}, {})", String::from_utf8_lossy(s), show(a)),
            Expr::SizeofHeaders => "SizeofHeaders".into(),
            Expr::Assert(a, m) => format!("Assert({}, {})", show(a), String::from_utf8_lossy(m)),
        }
    }

    #[test]
    fn operators_bind_as_in_c() {
        for (text, tree) in [
            ("1+2*3", "(1 + (2 * 3))"),
            ("a-b-c", "((a - b) - c)"),
            ("1<<2+3", "(1 << (2 + 3))"),
            ("a&b==c", "(a & (b == c))"),
            ("a|b^c&d", "(a | (b ^ (c & d)))"),
            ("a||b&&c", "(a || (b && c))"),
            ("1?2:3?4:5", "(1 ? 2 : (3 ? 4 : 5))"),
            ("-~!a*b", "((Negate (BitNot (LogicalNot a))) * b)"),
            ("+a", "a"),
            ("(1+2)*3", "((1 + 2) * 3)"),
            (" a/* why */ / 2 ", "(a / 2)"),
            ("\"odd name\" + .", "(odd name + .)"),
            ("a<b>=c", "((a < b) >= c)"),
        ] {
            assert_eq!(show(&parse_expr(text.as_bytes()).unwrap()), tree, "{text}");
        }
    }

    #[test]
    fn functions_have_their_arguments() {
        for (text, tree) in [
            ("ALIGN(8)", "Align(8)"),
            ("ALIGN(a, 1 << 3)", "Align(a, (1 << 3))"),
            ("NEXT(4)", "Align(4)"),
            ("MAX(a,MIN(b,c))", "Max(a, Min(b, c))"),
            ("SIZEOF(.text.a-b)+1", "(Sizeof(.text.a-b) + 1)"),
            ("ADDR(\".a b\")", "Addr(.a b)"),
            ("DEFINED(x)?x:0", "(Defined(x) ? x : 0)"),
            ("CONSTANT(MAXPAGESIZE)", "Constant(MAXPAGESIZE)"),
            ("SEGMENT_START(\"text-segment\", 0x400)", "SegmentStart(text-segment, 1024)"),
            ("SIZEOF_HEADERS", "SizeofHeaders"),
            ("ASSERT(a, \"no a\")", "Assert(a, no a)"),
            ("DATA_SEGMENT_END(.)", "DataSegmentEnd(.)"),
            ("MAX", "MAX"),
        ] {
            assert_eq!(show(&parse_expr(text.as_bytes()).unwrap()), tree, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_column() {
        for (text, message) in [
            ("", "column 1: expected an expression, found end of file"),
            ("1 2", "column 3: unexpected `2` after the expression"),
            ("a=b", "column 2: unexpected `=` after the expression"),
            ("a;", "column 2: unexpected `;` after the expression"),
            ("(1", "column 3: expected `)`, found end of file"),
            ("1?2", "column 4: expected `:`, found end of file"),
            ("FOO(1)", "column 4: unknown function `FOO`"),
            ("MAX(1)", "column 6: MAX does not take 1 arguments"),
        ] {
            assert_eq!(parse_expr(text.as_bytes()).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "(".repeat(100_000);
        assert!(parse_expr(deep.as_bytes()).unwrap_err().message.contains("nests too deeply"));
        let deep = "-".repeat(100_000);
        assert!(parse_expr(deep.as_bytes()).unwrap_err().message.contains("nests too deeply"));
        let long = "1+".repeat(100_000) + "1";
        assert!(parse_expr(long.as_bytes()).unwrap_err().message.contains("too long"));
        assert!(parse_expr(("1+".repeat(400) + "1").as_bytes()).is_ok());
    }

    #[test]
    fn symbols_are_listed_in_reading_order() {
        let expr = parse_expr(b"a + MAX(b, DEFINED(c) ? d : SIZEOF(e))").unwrap();
        let mut names = Vec::new();
        expr.for_each_symbol(&mut |name| names.push(name));
        assert_eq!(names, [b"a", b"b", b"c", b"d"]);
    }
}
