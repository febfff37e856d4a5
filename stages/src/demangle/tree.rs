//! What a mangled C++ name says, as a tree: nodes in one array, children by index.
//!
//! A node is made once and may hang in many places (the ABI's substitutions), so this is a graph without
//! cycles, small even where the text it stands for is large.

/// Index of a node.
pub(super) type Id = u32;

/// One thing a mangled name can say.
#[derive(Debug, Clone)]
pub(super) enum Node<'a> {
    /// An identifier of the source.
    Name(&'a [u8]),
    /// Fixed text: a builtin type, an anonymous namespace.
    Text(&'static str),
    /// A type every program knows, `Ss` and its like; in full where a constructor follows.
    Standard { abbreviation: &'static Standard, in_full: bool },
    /// `a::b`.
    Qualified(Id, Id),
    /// `f()::x`: an entity inside a function.
    Local(Id, Id),
    /// A function: its name, its [`Node::Function`], and the template arguments its parameters may refer to.
    Typed { name: Id, function: Id, arguments: Option<Id> },
    /// `name<arguments>`.
    Template(Id, Id),
    /// Template arguments, or an argument pack.
    Arguments(Vec<Id>),
    /// The template parameter of this index, counted from 0. What it stands for depends on where it is printed,
    /// see `print`; `argument` is what it stood for where it was read, `None` in a lambda's parameters.
    Parameter { index: usize, argument: Option<Id> },
    /// A constructor of the class named.
    Constructor(Id),
    /// A destructor of the class named.
    Destructor(Id),
    /// `operator+`.
    Operator(&'static Operator),
    /// A vendor's operator.
    VendorOperator(&'a [u8]),
    /// `operator"" _x`.
    LiteralOperator(Id),
    /// `operator int`.
    Conversion(Id),
    /// `a[abi:tag]`.
    Tagged(Id, &'a [u8]),
    /// `f@module`.
    Module(Id, &'a [u8]),
    /// `{lambda(int)#1}`.
    Lambda(Vec<Id>, usize),
    /// `{unnamed type#1}`.
    Unnamed(usize),
    /// `{default arg#1}::x`.
    DefaultArgument(usize, Id),
    /// `[a, b]`.
    Binding(Vec<Id>),
    /// "vtable for " and its like.
    Special(&'static str, Id),
    /// `construction vtable for a-in-b`.
    ConstructionVtable(Id, Id),
    /// `reference temporary #n for a`.
    ReferenceTemporary(Id, usize),
    /// `f() [clone .cold]`.
    Clone(Id, &'a [u8]),

    /// `a const` and its like: a type and what follows it.
    Qualifier(Id, &'static str),
    /// A vendor's qualifier.
    VendorQualifier(Id, Id),
    /// `a*`.
    Pointer(Id),
    /// `a&`, or `a&&`.
    Reference(Id, RefKind),
    /// `a b::*`: the class, then the member's type.
    MemberPointer(Id, Id),
    /// `a [n]`.
    Array(Id, Option<Id>),
    /// A function's type.
    Function(Box<Function>),
    /// `a __vector(n)`.
    Vector(Id, Id),
    /// `a...`: the pattern, once for each element of its pack.
    Expansion(Id),
    /// `decltype (a)`.
    Decltype(Id),

    /// A value of a type: the type, the digits.
    Literal(Id, &'a [u8]),
    /// `{parm#1}`; 0 is `this`.
    FunctionParameter(usize),
    /// An operator without operands.
    Nullary(&'static Operator),
    /// `-a`.
    Unary(&'static Operator, Id),
    /// `a++`.
    Postfix(&'static Operator, Id),
    /// `a + b`, `a(b)`, `static_cast<a>(b)`.
    Binary(&'static Operator, Id, Id),
    /// `a?b : c`.
    Trinary(&'static Operator, Id, Id, Id),
    /// `(type)operand`.
    Cast(Id, Id),
    /// Operands of a call.
    Operands(Vec<Id>),
    /// `type{operands}`.
    Braced(Option<Id>, Vec<Id>),
    /// `new (placement) type(initializer)`.
    New { placement: Vec<Id>, class: Id, initializer: Option<Id> },
    /// A fold: the operator's symbol, left, right; `None` is the `...`.
    Fold(&'static Operator, Option<Id>, Option<Id>),
    /// `sizeof...(pack)`, printed as the number.
    PackLength(Id),
    /// A name in the global namespace.
    Global(Id),
}

/// `&` or `&&`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefKind {
    Lvalue,
    Rvalue,
}

/// A function's type.
#[derive(Debug, Clone, Default)]
pub(super) struct Function {
    pub(super) result: Option<Id>,
    pub(super) parameters: Vec<Id>,
    /// ` const`, ` &`, ` noexcept` in the order of the text.
    pub(super) suffixes: Vec<Suffix>,
}

/// What follows a function's parameters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Suffix {
    Text(&'static str),
    Noexcept(Id),
    Throw(Id),
}

/// A well-known type of the standard library.
#[derive(Debug)]
pub(super) struct Standard {
    pub(super) code: u8,
    pub(super) short: &'static str,
    pub(super) full: &'static str,
    /// The name of its constructor.
    pub(super) class: &'static str,
}

/// The ABI's abbreviations (Itanium C++ ABI 5.1.10, "Compression").
pub(super) static STANDARDS: [Standard; 6] = [
    Standard { code: b'a', short: "std::allocator", full: "std::allocator", class: "allocator" },
    Standard { code: b'b', short: "std::basic_string", full: "std::basic_string", class: "basic_string" },
    Standard {
        code: b's',
        short: "std::string",
        full: "std::basic_string<char, std::char_traits<char>, std::allocator<char> >",
        class: "basic_string",
    },
    Standard {
        code: b'i',
        short: "std::istream",
        full: "std::basic_istream<char, std::char_traits<char> >",
        class: "basic_istream",
    },
    Standard {
        code: b'o',
        short: "std::ostream",
        full: "std::basic_ostream<char, std::char_traits<char> >",
        class: "basic_ostream",
    },
    Standard {
        code: b'd',
        short: "std::iostream",
        full: "std::basic_iostream<char, std::char_traits<char> >",
        class: "basic_iostream",
    },
];

/// Builtin types by their letter (5.1.5.2).
pub(super) fn builtin(code: u8) -> Option<&'static str> {
    Some(match code {
        b'a' => "signed char",
        b'b' => "bool",
        b'c' => "char",
        b'd' => "double",
        b'e' => "long double",
        b'f' => "float",
        b'g' => "__float128",
        b'h' => "unsigned char",
        b'i' => "int",
        b'j' => "unsigned int",
        b'l' => "long",
        b'm' => "unsigned long",
        b'n' => "__int128",
        b'o' => "unsigned __int128",
        b's' => "short",
        b't' => "unsigned short",
        b'v' => "void",
        b'w' => "wchar_t",
        b'x' => "long long",
        b'y' => "unsigned long long",
        b'z' => "...",
        _ => return None,
    })
}

/// Builtin types by the letter behind `D`.
pub(super) fn extended_builtin(code: u8) -> Option<&'static str> {
    Some(match code {
        b'a' => "auto",
        b'c' => "decltype(auto)",
        b'd' => "decimal64",
        b'e' => "decimal128",
        b'f' => "decimal32",
        b'h' => "half",
        b'i' => "char32_t",
        b'n' => "decltype(nullptr)",
        b's' => "char16_t",
        b'u' => "char8_t",
        _ => return None,
    })
}

/// An operator (5.1.3): its code, its text, and what follows it in an expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) code: [u8; 2],
    pub(super) text: &'static str,
    pub(super) operands: Operands,
}

/// What an operator is applied to in an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operands {
    None,
    Unary,
    /// Unary, and postfix unless a `_` follows.
    Step,
    /// Unary on a type.
    Type,
    Binary,
    /// Binary on a type and a value.
    NamedCast,
    /// `.` and `->`: an operand and a name.
    Member,
    Call,
    Conditional,
    New,
}

const fn row(code: &[u8; 2], text: &'static str, operands: Operands) -> Operator {
    Operator { code: *code, text, operands }
}

/// All operators, sorted by code.
pub(super) static OPERATORS: [Operator; 67] = {
    use Operands::{Binary, Call, Conditional, Member, NamedCast, New, None, Step, Type, Unary};
    [
        row(b"aN", "&=", Binary),
        row(b"aS", "=", Binary),
        row(b"aa", "&&", Binary),
        row(b"ad", "&", Unary),
        row(b"an", "&", Binary),
        row(b"at", "alignof ", Type),
        row(b"aw", "co_await ", Unary),
        row(b"az", "alignof ", Unary),
        row(b"cc", "const_cast", NamedCast),
        row(b"cl", "()", Call),
        row(b"cm", ",", Binary),
        row(b"co", "~", Unary),
        row(b"dV", "/=", Binary),
        row(b"da", "delete[] ", Unary),
        row(b"dc", "dynamic_cast", NamedCast),
        row(b"de", "*", Unary),
        row(b"dl", "delete ", Unary),
        row(b"ds", ".*", Binary),
        row(b"dt", ".", Member),
        row(b"dv", "/", Binary),
        row(b"eO", "^=", Binary),
        row(b"eo", "^", Binary),
        row(b"eq", "==", Binary),
        row(b"ge", ">=", Binary),
        row(b"gs", "::", Unary),
        row(b"gt", ">", Binary),
        row(b"ix", "[]", Binary),
        row(b"lS", "<<=", Binary),
        row(b"le", "<=", Binary),
        row(b"ls", "<<", Binary),
        row(b"lt", "<", Binary),
        row(b"mI", "-=", Binary),
        row(b"mL", "*=", Binary),
        row(b"mi", "-", Binary),
        row(b"ml", "*", Binary),
        row(b"mm", "--", Step),
        row(b"na", "new[]", New),
        row(b"ne", "!=", Binary),
        row(b"ng", "-", Unary),
        row(b"nt", "!", Unary),
        row(b"nw", "new", New),
        row(b"nx", "noexcept", Unary),
        row(b"oR", "|=", Binary),
        row(b"oo", "||", Binary),
        row(b"or", "|", Binary),
        row(b"pL", "+=", Binary),
        row(b"pl", "+", Binary),
        row(b"pm", "->*", Binary),
        row(b"pp", "++", Step),
        row(b"ps", "+", Unary),
        row(b"pt", "->", Member),
        row(b"qu", "?", Conditional),
        row(b"rM", "%=", Binary),
        row(b"rS", ">>=", Binary),
        row(b"rc", "reinterpret_cast", NamedCast),
        row(b"rm", "%", Binary),
        row(b"rs", ">>", Binary),
        row(b"sP", "sizeof...", Unary),
        row(b"sZ", "sizeof...", Unary),
        row(b"sc", "static_cast", NamedCast),
        row(b"ss", "<=>", Binary),
        row(b"st", "sizeof ", Type),
        row(b"sz", "sizeof ", Unary),
        row(b"te", "typeid ", Unary),
        row(b"ti", "typeid ", Type),
        row(b"tr", "throw", None),
        row(b"tw", "throw ", Unary),
    ]
};

/// The operator with this code.
pub(super) fn operator(code: [u8; 2]) -> Option<&'static Operator> {
    let index = OPERATORS.binary_search_by_key(&code, |operator| operator.code).ok()?;
    Some(&OPERATORS[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_sorted_for_the_search() {
        assert!(OPERATORS.is_sorted_by(|a, b| a.code < b.code));
        assert_eq!(operator(*b"pl").map(|operator| operator.text), Some("+"));
        assert_eq!(operator(*b"zz"), None);
    }
}
