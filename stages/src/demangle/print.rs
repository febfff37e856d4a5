//! The tree of a mangled C++ name as text, exactly as `c++filt -i` writes it.
//!
//! Version scripts hold patterns against this text, so blanks matter: `> >` between closing brackets, none
//! after an empty pack, `(A)+(B)` around operands that are not plain names. Of 646,000 names found in the
//! libraries and objects of a Debian system, those printed otherwise (four in a thousand) are data with a
//! clone's suffix, constructors of classes without a name, and lambdas in initialisers or as arguments of
//! generic functions, where `c++filt` loses track.
//!
//! C writes types around the name: in `int (*f())[3]` the part left of `f` and the part right of it belong
//! together. So a type prints in two halves, [`Printer::left`] and [`Printer::right`]; what is no type has no
//! right half.
//!
//! A template parameter stands for an argument of the function *being printed*, not of the one where it was
//! read: substitutions take parameters from one function's name to another's. Within the argument the next
//! outer function counts. In the parameters of a lambda's name, it is `auto`.
//!
//! A tree can stand for more text than fits any memory, or for very much work and no text at all. Both are
//! bounded; beyond the bounds printing gives up.

mod expression;

use super::tree::{Function, Id, Node, RefKind, Suffix};

/// Longer text is not printed.
const TEXT_BYTES_MAX: usize = 1 << 18;
/// More nodes are not visited.
const STEPS_MAX: u32 = 1 << 18;
/// How deep printing may recurse.
const NESTING_MAX: u32 = 512;

/// Prints the tree below `root`.
pub(super) fn print(nodes: &[Node<'_>], root: Id) -> Option<String> {
    let mut printer = Printer {
        nodes,
        text: Vec::new(),
        last: 0,
        element: None,
        scopes: Vec::new(),
        scope: None,
        in_lambda: false,
        steps: 0,
        nesting: 0,
    };
    printer.print(root)?;
    Some(
        String::from_utf8(printer.text)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

struct Printer<'n, 'a> {
    nodes: &'n [Node<'a>],
    text: Vec<u8>,
    /// The byte written last. Not always the last of `text`: a comma that turns out to be superfluous is
    /// taken back, but still counts when `>` decides about a blank.
    last: u8,
    /// Which element of argument packs is meant, inside an expansion.
    element: Option<usize>,
    /// Template arguments of functions being printed, each with the scope around it.
    scopes: Vec<(Id, Option<usize>)>,
    /// The innermost of them that counts.
    scope: Option<usize>,
    /// Inside the parameters of a lambda's name.
    in_lambda: bool,
    steps: u32,
    nesting: u32,
}

impl<'n, 'a> Printer<'n, 'a> {
    fn node(&self, id: Id) -> &'n Node<'a> {
        &self.nodes[id as usize]
    }

    fn push(&mut self, text: &[u8]) -> Option<()> {
        if let Some(last) = text.last() {
            self.last = *last;
        }
        self.text.extend_from_slice(text);
        (self.text.len() <= TEXT_BYTES_MAX).then_some(())
    }

    fn print(&mut self, id: Id) -> Option<()> {
        self.left(id)?;
        self.right(id)
    }

    fn enter(&mut self) -> Option<()> {
        self.steps += 1;
        self.nesting += 1;
        (self.steps <= STEPS_MAX && self.nesting <= NESTING_MAX).then_some(())
    }

    /// What `id` stands for, and the scope it is to be printed in: a template parameter is its argument, within
    /// an expansion one element of a pack.
    fn resolve(&self, mut id: Id) -> (Id, Option<usize>) {
        let mut scope = self.scope;
        // Parameters could only stand for each other in a circle if the name was made up.
        for _ in 0..NESTING_MAX {
            let Node::Parameter { index, argument } = self.node(id) else { break };
            if self.in_lambda {
                break;
            }
            let of_scope = scope.map(|scope| self.scopes[scope]).and_then(|(arguments, outer)| {
                let Node::Arguments(arguments) = self.node(arguments) else { return None };
                Some((*arguments.get(*index)?, outer))
            });
            let Some((argument, outer)) = of_scope.or_else(|| Some(((*argument)?, None))) else { break };
            scope = outer;
            id = match (self.node(argument), self.element) {
                (Node::Arguments(pack), Some(element)) => match pack.get(element) {
                    Some(id) => *id,
                    None => return (argument, scope),
                },
                _ => argument,
            };
        }
        (id, scope)
    }

    /// Prints half of what the parameter `id` stands for.
    fn argument(&mut self, id: Id, print: fn(&mut Self, Id) -> Option<()>) -> Option<()> {
        let (resolved, scope) = self.resolve(id);
        let saved = std::mem::replace(&mut self.scope, scope);
        print(self, resolved)?;
        self.scope = saved;
        Some(())
    }

    /// The part of `id` left of a declared name, or all of it if it is no such type.
    fn left(&mut self, id: Id) -> Option<()> {
        self.enter()?;
        self.left_inner(id)?;
        self.nesting -= 1;
        Some(())
    }

    fn left_inner(&mut self, id: Id) -> Option<()> {
        match self.node(id) {
            Node::Name(name) => self.push(name),
            Node::Text(text) => self.push(text.as_bytes()),
            Node::Standard { abbreviation, in_full: true } => self.push(abbreviation.full.as_bytes()),
            Node::Standard { abbreviation, in_full: false } => self.push(abbreviation.short.as_bytes()),
            Node::Qualified(scope, name) | Node::Local(scope, name) => {
                self.print(*scope)?;
                self.push(b"::")?;
                self.print(*name)
            }
            Node::Typed { name, function, arguments } => {
                let saved = self.scope;
                if let Some(arguments) = arguments {
                    self.scopes.push((*arguments, saved));
                    self.scope = Some(self.scopes.len() - 1);
                }
                self.function(*name, *function)?;
                self.scope = saved;
                Some(())
            }
            Node::Template(name, arguments) => {
                self.print(*name)?;
                if self.last == b'<' {
                    self.push(b" ")?;
                }
                self.push(b"<")?;
                self.print(*arguments)?;
                if self.last == b'>' {
                    self.push(b" ")?;
                }
                self.push(b">")
            }
            Node::Arguments(list) | Node::Operands(list) => self.list(list),
            Node::Parameter { index, .. } => match self.resolve(id).0 {
                resolved if resolved != id => self.argument(id, Self::left),
                _ if self.in_lambda => self.push(format!("auto:{}", index.saturating_add(1)).as_bytes()),
                _ => None,
            },
            Node::Constructor(class) => self.print(*class),
            Node::Destructor(class) => {
                self.push(b"~")?;
                self.print(*class)
            }
            Node::Operator(operator) => {
                self.push(b"operator")?;
                let text = operator.text.as_bytes();
                if text.first().is_some_and(u8::is_ascii_lowercase) {
                    self.push(b" ")?;
                }
                self.push(text.trim_ascii_end())
            }
            Node::VendorOperator(name) => {
                self.push(b"operator ")?;
                self.push(name)
            }
            Node::LiteralOperator(name) => {
                self.push(b"operator\"\" ")?;
                self.print(*name)
            }
            Node::Conversion(class) => {
                self.push(b"operator ")?;
                self.print(*class)
            }
            Node::Tagged(name, tag) => {
                self.print(*name)?;
                self.push(b"[abi:")?;
                self.push(tag)?;
                self.push(b"]")
            }
            Node::Module(name, module) => {
                self.print(*name)?;
                self.push(b"@")?;
                self.push(module)
            }
            Node::Lambda(parameters, number) => {
                self.push(b"{lambda(")?;
                let in_lambda = std::mem::replace(&mut self.in_lambda, true);
                self.list(parameters)?;
                self.in_lambda = in_lambda;
                self.push(format!(")#{}}}", number.saturating_add(1)).as_bytes())
            }
            Node::Unnamed(number) => {
                self.push(format!("{{unnamed type#{}}}", number.saturating_add(1)).as_bytes())
            }
            Node::DefaultArgument(number, name) => {
                self.push(format!("{{default arg#{}}}::", number.saturating_add(1)).as_bytes())?;
                self.print(*name)
            }
            Node::Binding(names) => {
                self.push(b"[")?;
                self.list(names)?;
                self.push(b"]")
            }
            Node::Special(text, inner) => {
                self.push(text.as_bytes())?;
                self.print(*inner)
            }
            Node::ConstructionVtable(base, derived) => {
                self.push(b"construction vtable for ")?;
                self.print(*base)?;
                self.push(b"-in-")?;
                self.print(*derived)
            }
            Node::ReferenceTemporary(name, number) => {
                self.push(format!("reference temporary #{number} for ").as_bytes())?;
                self.print(*name)
            }
            Node::Clone(inner, suffix) => {
                self.print(*inner)?;
                self.push(b" [clone ")?;
                self.push(suffix)?;
                self.push(b"]")
            }
            Node::Qualifier(inner, text) => {
                self.left(*inner)?;
                if self.is_qualified(*inner, text) { Some(()) } else { self.push(text.as_bytes()) }
            }
            Node::VendorQualifier(inner, qualifier) => {
                self.left(*inner)?;
                self.push(b" ")?;
                self.print(*qualifier)
            }
            Node::Pointer(inner) => {
                self.left(*inner)?;
                self.open(*inner)?;
                self.push(b"*")
            }
            Node::Reference(inner, kind) => {
                let (inner, kind) = self.collapse(*inner, *kind);
                self.left(inner)?;
                self.open(inner)?;
                self.push(if kind == RefKind::Lvalue { b"&" } else { b"&&" })
            }
            Node::MemberPointer(class, member) => {
                self.left(*member)?;
                self.open(*member)?;
                if self.last != b'(' {
                    self.push(b" ")?;
                }
                self.print(*class)?;
                self.push(b"::*")
            }
            Node::Array(element, _) => self.left(*element),
            Node::Function(function) => self.result(function),
            Node::Vector(element, length) => {
                self.left(*element)?;
                self.push(b" __vector(")?;
                self.print(*length)?;
                self.push(b")")
            }
            Node::Expansion(pattern) => self.expansion(*pattern),
            Node::Decltype(expression) => {
                self.push(b"decltype (")?;
                self.print(*expression)?;
                self.push(b")")
            }
            _ => self.expression(id),
        }
    }

    /// The part of `id` right of a declared name.
    fn right(&mut self, id: Id) -> Option<()> {
        self.enter()?;
        match self.node(id) {
            Node::Parameter { .. } if self.resolve(id).0 != id => self.argument(id, Self::right)?,
            Node::Qualifier(inner, _) | Node::VendorQualifier(inner, _) | Node::Vector(inner, _) => {
                self.right(*inner)?;
            }
            Node::Pointer(inner) | Node::MemberPointer(_, inner) => {
                self.close(*inner)?;
                self.right(*inner)?;
            }
            Node::Reference(inner, kind) => {
                let (inner, _) = self.collapse(*inner, *kind);
                self.close(inner)?;
                self.right(inner)?;
            }
            Node::Array(..) => {
                self.push(b" ")?;
                let mut element = id;
                while let Node::Array(next, length) = self.node(element) {
                    self.push(b"[")?;
                    if let Some(length) = length {
                        self.print(*length)?;
                    }
                    self.push(b"]")?;
                    element = self.resolve(*next).0;
                }
                self.right(element)?;
            }
            Node::Function(function) => self.parameters(function)?,
            _ => {}
        }
        self.nesting -= 1;
        Some(())
    }

    /// A reference to a reference is one reference, `&` unless both are `&&`. Gives what is referred to, as far
    /// as it can be printed in this scope.
    fn collapse(&self, inner: Id, mut kind: RefKind) -> (Id, RefKind) {
        let mut inner = inner;
        for _ in 0..NESTING_MAX {
            let Node::Reference(next, next_kind) = self.node(self.resolve(inner).0) else { break };
            if *next_kind == RefKind::Lvalue {
                kind = RefKind::Lvalue;
            }
            inner = *next;
        }
        (inner, kind)
    }

    /// What kind of type `id` is, whatever qualifies it.
    fn unqualified(&self, id: Id) -> &'n Node<'a> {
        let mut id = self.resolve(id).0;
        for _ in 0..NESTING_MAX {
            let (Node::Qualifier(inner, _) | Node::VendorQualifier(inner, _)) = self.node(id) else { break };
            id = self.resolve(*inner).0;
        }
        self.node(id)
    }

    /// Whether `id` has the qualifier `text` already: `T const` is `int const` also where `T` is.
    fn is_qualified(&self, id: Id, text: &str) -> bool {
        let mut id = self.resolve(id).0;
        for _ in 0..NESTING_MAX {
            let Node::Qualifier(inner, own) = self.node(id) else { break };
            if *own == text {
                return true;
            }
            id = self.resolve(*inner).0;
        }
        false
    }

    /// The parenthesis that keeps `*` away from a function's parameters or an array's bounds.
    fn open(&mut self, inner: Id) -> Option<()> {
        match self.unqualified(inner) {
            Node::Function(_) => self.push(b"("),
            Node::Array(..) => self.push(b" ("),
            _ => Some(()),
        }
    }

    fn close(&mut self, inner: Id) -> Option<()> {
        match self.unqualified(inner) {
            Node::Function(_) | Node::Array(..) => self.push(b")"),
            _ => Some(()),
        }
    }

    /// Whether anything is right of a name of this type.
    fn has_right(&self, id: Id) -> bool {
        let mut id = id;
        for _ in 0..NESTING_MAX {
            match self.node(id) {
                Node::Function(_) | Node::Array(..) => return true,
                Node::Parameter { .. } => match self.resolve(id).0 {
                    resolved if resolved == id => return false,
                    resolved => id = resolved,
                },
                Node::Qualifier(inner, _) | Node::VendorQualifier(inner, _) => id = *inner,
                Node::Pointer(inner) | Node::Reference(inner, _) | Node::MemberPointer(_, inner) => {
                    id = *inner
                }
                _ => return false,
            }
        }
        false
    }

    /// A declared function: result, name, parameters.
    fn function(&mut self, name: Id, function: Id) -> Option<()> {
        let Node::Function(function) = self.node(function) else { return None };
        self.result(function)?;
        self.print(name)?;
        self.parameters(function)
    }

    fn result(&mut self, function: &'n Function) -> Option<()> {
        let Some(result) = function.result else { return Some(()) };
        self.left(result)?;
        if self.has_right(result) { Some(()) } else { self.push(b" ") }
    }

    fn parameters(&mut self, function: &'n Function) -> Option<()> {
        self.push(b"(")?;
        self.list(&function.parameters)?;
        self.push(b")")?;
        for suffix in &function.suffixes {
            match suffix {
                Suffix::Text(text) => self.push(text.as_bytes())?,
                Suffix::Noexcept(condition) => {
                    self.push(b" noexcept(")?;
                    self.print(*condition)?;
                    self.push(b")")?;
                }
                Suffix::Throw(types) => {
                    self.push(b" throw(")?;
                    self.print(*types)?;
                    self.push(b")")?;
                }
            }
        }
        match function.result {
            Some(result) => self.right(result),
            None => Some(()),
        }
    }

    /// Things with commas between them. Commas before things at the end that print nothing, as empty packs
    /// do, are taken back.
    fn list(&mut self, list: &'n [Id]) -> Option<()> {
        let mut starts = Vec::with_capacity(list.len());
        for (index, id) in list.iter().enumerate() {
            if index > 0 {
                self.push(b", ")?;
            }
            starts.push(self.text.len());
            self.print(*id)?;
        }
        while let Some(start) = starts.pop() {
            if starts.is_empty() || self.text.len() != start {
                break;
            }
            self.text.truncate(start - 2);
        }
        Some(())
    }

    /// The pattern once for each element of the first pack in it.
    fn expansion(&mut self, pattern: Id) -> Option<()> {
        let Some(length) = self.pack_length(pattern) else {
            // Not the pack itself but a dependent one: as in the source.
            self.subexpression(pattern)?;
            return self.push(b"...");
        };
        let saved = self.element;
        for element in 0..length {
            if element > 0 {
                self.push(b", ")?;
            }
            self.element = Some(element);
            self.print(pattern)?;
        }
        self.element = saved;
        Some(())
    }

    /// How many elements the first pack in `pattern` has; `None` without a pack.
    fn pack_length(&mut self, pattern: Id) -> Option<usize> {
        let mut stack = vec![pattern];
        while let Some(id) = stack.pop() {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return None;
            }
            match self.node(id) {
                Node::Parameter { .. } => {
                    let saved = self.element.take();
                    let (argument, _) = self.resolve(id);
                    self.element = saved;
                    if let Node::Arguments(pack) = self.node(argument) {
                        return Some(pack.len());
                    }
                }
                Node::Qualified(a, b) | Node::Local(a, b) | Node::Template(a, b) => {
                    stack.extend([*b, *a]);
                }
                Node::Typed { name, function, .. } => stack.extend([*function, *name]),
                Node::MemberPointer(a, b) | Node::Binary(_, a, b) | Node::Cast(a, b) => {
                    stack.extend([*b, *a])
                }
                Node::VendorQualifier(a, b) | Node::Vector(a, b) => stack.extend([*b, *a]),
                Node::Arguments(list) | Node::Operands(list) | Node::Braced(None, list) => {
                    stack.extend(list.iter().rev());
                }
                Node::Braced(Some(class), list) => {
                    stack.extend(list.iter().rev());
                    stack.push(*class);
                }
                Node::Function(function) => {
                    stack.extend(function.parameters.iter().rev());
                    stack.extend(function.result);
                }
                Node::Qualifier(a, _) | Node::Pointer(a) | Node::Reference(a, _) | Node::Decltype(a) => {
                    stack.push(*a);
                }
                Node::Array(a, b) => {
                    stack.extend(*b);
                    stack.push(*a);
                }
                Node::Unary(_, a) | Node::Postfix(_, a) | Node::Conversion(a) | Node::Global(a) => {
                    stack.push(*a)
                }
                Node::Trinary(_, a, b, c) => stack.extend([*c, *b, *a]),
                _ => {}
            }
        }
        None
    }
}
