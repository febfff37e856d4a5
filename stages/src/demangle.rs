//! Symbol names for people: mangled Rust and C++ names back to what the source says.
//!
//! [`demangle`] serves messages: it takes any symbol and always returns something to show.
//! [`demangle_cxx`] serves `extern "C++"` patterns of version scripts and dynamic lists, which are held
//! against the full name with parameters, as GNU ld (and `c++filt -i`) prints it.
//!
//! C++ names are parsed and printed here (`parse`, `expression`, `print`, over the `tree`), because the text
//! has to be that of GNU's demangler to the letter; Rust names are left to `rustc-demangle`.
//!
//! Names come from input files, so a name may be built to explode: a few bytes of back references can stand
//! for gigabytes of text. The length of the name, the depth of its nesting and the length of the result are
//! bounded; a name beyond the bounds is shown as it is.

mod tree;
mod parse;
mod types;
mod expression;
mod print;

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Longer names are not demangled.
const NAME_BYTES_MAX: usize = 1 << 16;
/// Longer results are not shown.
const TEXT_BYTES_MAX: usize = 1 << 18;

/// The readable form of the symbol `name`: Rust (v0 and legacy, without the hash) and C++ names are
/// demangled, everything else is taken as it is, with bytes that are not UTF-8 replaced. A version
/// (`name@VERSION`, `name@@VERSION`) stays at the end.
pub fn demangle(name: &[u8]) -> Cow<'_, str> {
    let (base, version) = split_version(name);
    let Some(mut text) = demangle_base(base) else { return String::from_utf8_lossy(name) };
    text.push_str(&String::from_utf8_lossy(version));
    Cow::Owned(text)
}

/// The symbol `name` (without version) as an `extern "C++"` pattern sees it: demangled with its parameters;
/// `None` if it is not a mangled C++ name.
pub fn demangle_cxx(name: &[u8]) -> Option<Vec<u8>> {
    demangle_itanium(name).map(String::into_bytes)
}

/// `name` before and from its first `@`.
fn split_version(name: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'@', name) {
        Some(at) if at > 0 => name.split_at(at),
        _ => (name, b""),
    }
}

fn demangle_base(name: &[u8]) -> Option<String> {
    if name.len() > NAME_BYTES_MAX || name.len() < 3 {
        return None;
    }
    match name {
        [b'_', b'R', ..] => demangle_rust(name),
        [b'_', b'Z', ..] if is_legacy_rust(name) => demangle_rust(name),
        _ => demangle_itanium(name),
    }
}

/// Whether `name` is one of Rust's legacy names: a C++ nested name whose last part is `h` and 16 hex digits.
fn is_legacy_rust(name: &[u8]) -> bool {
    let end = memchr::memmem::rfind(name, b"17h").map(|start| start + 3);
    end.and_then(|start| name.get(start..start + 17))
        .is_some_and(|hash| hash[16] == b'E' && hash[..16].iter().all(u8::is_ascii_hexdigit))
}

fn demangle_rust(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let demangled = rustc_demangle::try_demangle(name).ok()?;
    let mut text = BoundedText(String::new());
    write!(text, "{demangled:#}").ok()?;
    Some(text.0)
}

fn demangle_itanium(name: &[u8]) -> Option<String> {
    if !name.starts_with(b"_Z") || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let mut parser = parse::Parser::new(name);
    let root = parser.mangled_name()?;
    print::print(&parser.nodes, root)
}

/// Collects text up to [`TEXT_BYTES_MAX`], then fails.
struct BoundedText(String);

impl Write for BoundedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > TEXT_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mangling_is_undone() {
        for (name, text) in [
            ("main", "main"),
            ("_ZN4core3fmt9Formatter9write_str17h0123456789abcdefE", "core::fmt::Formatter::write_str"),
            ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
            ("_ZN3foo3barEi", "foo::bar(int)"),
            ("_ZN3foo3barE", "foo::bar"),
            (
                "_ZNSt6vectorIiSaIiEE9push_backERKi",
                "std::vector<int, std::allocator<int> >::push_back(int const&)",
            ),
            ("_ZN3foo3barEv@@V1.2", "foo::bar()@@V1.2"),
            ("memcpy@GLIBC_2.14", "memcpy@GLIBC_2.14"),
            ("_Z", "_Z"),
            ("_Znonsense", "_Znonsense"),
            ("_R", "_R"),
            ("@", "@"),
            ("", ""),
        ] {
            assert_eq!(demangle(name.as_bytes()), text);
        }
        assert_eq!(demangle(b"caf\xe9"), "caf\u{fffd}");
    }

    #[test]
    fn names_that_explode_are_shown_as_they_are() {
        let doubling = "_Z1f1A".to_owned()
            + &(0..60).map(|i| format!("1BIS{}_S{}_E", seq(2 * i), seq(2 * i))).collect::<String>();
        for name in [
            // Each argument stands for twice what the one before does.
            doubling,
            // Nested, in length and in depth.
            "_Z".to_owned() + &"N1a".repeat(10_000),
            "_ZN".to_owned() + &"1a".repeat(20_000) + "E",
            "_Z1f".to_owned() + &"P".repeat(60_000) + "i",
            "_Z1f".to_owned() + &"K".repeat(60_000) + "i",
            "_Z1f".to_owned() + &"A_".repeat(30_000) + "i",
            "_Z1f".to_owned() + &"B1a".repeat(20_000) + "v",
            // Two readings at each level.
            "_Z1fIX".to_owned() + &"sr1aIX".repeat(5_000),
            // Longer than anybody reads.
            "_Z".to_owned() + &"1a".repeat(50_000),
        ] {
            assert_eq!(demangle(name.as_bytes()), name);
        }
    }

    /// `<seq-id>` of substitution `index`.
    fn seq(index: u32) -> String {
        let digit = |n: u32| char::from_digit(n, 36).unwrap().to_ascii_uppercase();
        match index {
            0 => String::new(),
            1..=36 => digit(index - 1).to_string(),
            _ => format!("{}{}", digit((index - 1) / 36), digit((index - 1) % 36)),
        }
    }

    /// Names and what `c++filt -i` of GNU binutils 2.40 makes of them.
    #[test]
    #[rustfmt::skip]
    fn cxx_names_read_as_gnu_prints_them() {
        for (name, text) in [
            ("_ZZ1fIiEvvE1x", "f<int>()::x"),
            ("_ZNSsC1Ev", "std::basic_string<char, std::char_traits<char>, std::allocator<char> >::basic_string()"),
            ("_ZNSsD0Ev", "std::basic_string<char, std::char_traits<char>, std::allocator<char> >::~basic_string()"),
            ("_ZNSs6appendEPKc", "std::string::append(char const*)"),
            ("_ZNK1AcvT_IiEEv", "A::operator int<int>() const"),
            ("_ZZ4mainENKUlT_E_clIiEEDaS_", "auto main::{lambda(auto:1)#1}::operator()<int>(int) const"),
            ("_Z1fRA3_KcPFiiEM1AFvvEM1AKFvvEM1Ai", "f(char const (&) [3], int (*)(int), void (A::*)(), void (A::*)() const, int A::*)"),
            ("_Z1fILi3EEPFviEv", "void (*f<3>())(int)"),
            ("_Z1fIiEPA3_iv", "int (*f<int>()) [3]"),
            ("_Z3foov.constprop.0.isra.1", "foo() [clone .constprop.0] [clone .isra.1]"),
            ("_Z3foov.cold", "foo() [clone .cold]"),
            ("_Z1fIXadL_Z1gvEEEvv", "void f<&(g())>()"),
            ("_Z1fIXadL_ZN1A1gEvEEEvv", "void f<&A::g>()"),
            ("_Z1fIXadL_ZNK1A1gEvEEEvv", "void f<&(A::g() const)>()"),
            ("_Z1fIiEDTplcvT__ELi1EEv", "decltype (((int)())+(1)) f<int>()"),
            ("_Z1fIiEDTgtcvT__ELi1EEv", "decltype ((((int)())>(1))) f<int>()"),
            ("_ZN1AIiEC1IlEET_", "A<int>::A<long>(long)"),
            ("_Z1fPFPFvvEiE", "f(void (*(*)(int))())"),
            ("_ZlsIiEvT_S0_", "void operator<< <int>(int, int)"),
            ("_ZltIiEvv", "void operator< <int>()"),
            ("_Zli2_xy", "operator\"\" _x(unsigned long long)"),
            ("_ZdaPv", "operator delete[](void*)"),
            ("_ZN1AD1Ev", "A::~A()"),
            ("_ZGRZ1fvE1x_", "reference temporary #0 for f()::x"),
            ("_ZGVZ1fvE1x", "guard variable for f()::x"),
            ("_ZTCN1AE0_1B", "construction vtable for B-in-A"),
            ("_ZThn8_N1A1fEv", "non-virtual thunk to A::f()"),
            ("_ZTv0_n24_N1A1fEv", "virtual thunk to A::f()"),
            ("_ZTch0_v0_n24_N1A1fEv", "covariant return thunk to A::f()"),
            ("_ZTV1A", "vtable for A"),
            ("_ZTT1A", "VTT for A"),
            ("_ZTI1A", "typeinfo for A"),
            ("_ZTS1A", "typeinfo name for A"),
            ("_ZTH1x", "TLS init function for x"),
            ("_ZTW1x", "TLS wrapper function for x"),
            ("_ZGTt1fv", "transaction clone for f()"),
            ("_ZZ1fvEs_0", "f()::string literal"),
            ("_ZZ1fvEd0_1x", "f()::{default arg#2}::x"),
            ("_Z1fIJidEEvDpRKT_", "void f<int, double>(int const&, double const&)"),
            ("_Z1fIJEEvDpT_", "void f<>()"),
            ("_Z1fI1BI1AIiEJEEEvv", "void f<B<A<int>> >()"),
            ("_Z1fM1AA3_i", "f(int (A::*) [3])"),
            ("_Z1fRA3_A4_i", "f(int (&) [3][4])"),
            ("_Z1fPK1AIXsr1BIiEE1xEE", "f(A<B<int>::x> const*)"),
            ("_ZN12_GLOBAL__N_11xE", "(anonymous namespace)::x"),
            ("_Z1fU8__strongPi", "f(int* __strong)"),
            ("_Z1fDv4_f", "f(float __vector(4))"),
            ("_Z1fCd", "f(double _Complex)"),
            ("_Z1fPrPVKi", "f(int const volatile* restrict*)"),
            ("_Z1fKPFvvE", "f(void (* const)())"),
            ("_Z1fDn", "f(decltype(nullptr))"),
            ("_Z1fDF16_", "f(_Float16)"),
            ("_Z1fILf3f800000EEvv", "void f<(float)[3f800000]>()"),
            ("_Z1fILb1EEvv", "void f<true>()"),
            ("_Z1fILin5EEvv", "void f<-5>()"),
            ("_Z1fILc65EEvv", "void f<(char)65>()"),
            ("_Z1fILm5EEvv", "void f<5ul>()"),
            ("_ZN1A1fB5cxx11Ev", "A::f[abi:cxx11]()"),
            ("_ZNR1A1fEv", "A::f() &"),
            ("_ZNKO1A1fEv", "A::f() const &&"),
            ("_Z1fPDoFvvE", "f(void (*)() noexcept)"),
            ("_ZZN1A1fEvENUt_1gEv", "A::f()::{unnamed type#1}::g()"),
            ("_Z1fIiEvOT_", "void f<int>(int&&)"),
            ("_Z1fIRiEvOT_", "void f<int&>(int&)"),
            ("_Z1fIKiEvPKT_", "void f<int const>(int const*)"),
            ("_ZSt3getILm1EJPN1a1bESt14default_deleteIS1_EEERNSt13tuple_elementIXT_ESt5tupleIJDpT0_EEE4typeERS9_", "std::tuple_element<1ul, std::tuple<a::b*, std::default_delete<a::b> > >::type& std::get<1ul, a::b*, std::default_delete<a::b> >(std::tuple<a::b*, std::default_delete<a::b> >&)"),
            ("_Z3eqaIiEDTeqfp_Li0EET_", "decltype ({parm#1}==(0)) eqa<int>(int)"),
            ("_Z4foldIJiiEEDTfrplfp_EDpT_", "decltype (({parm#1}+...)) fold<int, int>(int, int)"),
            ("_Z2pkIJicEE1IIXsZT_EEDpT_", "I<2> pk<int, char>(int, char)"),
            ("_Z4callI1SEDTcldtfp_1fLi1EEET_", "decltype (({parm#1}.f)(1)) call<S>(S)"),
            ("_Z3idxI1SEDTixfp_Li0EET_", "decltype ({parm#1}[0]) idx<S>(S)"),
            ("_Z4condIiEDTquT_T_Li1EES0_", "decltype ((int)?(int) : (1)) cond<int>(decltype ((int)?(int) : (1)))"),
            ("_Z5cast2IiEDTscT_fp_ES0_", "decltype (static_cast<int>({parm#1})) cast2<int>(int)"),
            ("_Z3sztIiEDTstT_ET_", "decltype (sizeof (int)) szt<int>(int)"),
            ("_Z1fILN1A1EE5EEvv", "void f<(A::E)5>()"),
            ("_ZNSt10_HashtableIiSaIiEE3fooEv", "std::_Hashtable<int, std::allocator<int> >::foo()"),
            ("_Z1fz", "f(...)"),
            ("_ZN1A1B1CE", "A::B::C"),
        ] {
            assert_eq!(demangle(name.as_bytes()), text, "{name}");
        }
    }

    #[test]
    fn what_is_no_cxx_name_is_none() {
        for name in ["", "main", "_Z", "_Z1", "_Z9short", "_Z1fS_", "_Z1fT_", "_Z1fIXE", "_ZNE", "__Z1fv"] {
            assert_eq!(demangle_cxx(name.as_bytes()), None, "{name}");
        }
    }
}
