//! Expressions as text, with the parentheses that `c++filt` puts around operands.

use super::super::tree::{Id, Node, Operator};
use super::Printer;

impl Printer<'_, '_> {
    pub(super) fn expression(&mut self, id: Id) -> Option<()> {
        match self.node(id) {
            Node::Literal(class, value) => self.literal(*class, value),
            Node::FunctionParameter(0) => self.push(b"this"),
            Node::FunctionParameter(number) => self.push(format!("{{parm#{number}}}").as_bytes()),
            Node::Nullary(operator) => self.push(operator.text.as_bytes()),
            Node::Unary(operator, operand) => self.unary(operator, *operand),
            Node::Postfix(operator, operand) => {
                self.subexpression(*operand)?;
                self.push(operator.text.as_bytes())
            }
            Node::Binary(operator, left, right) => self.binary(operator, *left, *right),
            Node::Trinary(operator, condition, yes, no) => {
                self.subexpression(*condition)?;
                self.push(operator.text.as_bytes())?;
                self.subexpression(*yes)?;
                self.push(b" : ")?;
                self.subexpression(*no)
            }
            Node::Cast(class, operand) => {
                self.push(b"(")?;
                self.print(*class)?;
                self.push(b")")?;
                self.subexpression(*operand)
            }
            Node::Braced(class, operands) => {
                if let Some(class) = class {
                    self.print(*class)?;
                }
                self.push(b"{")?;
                self.list(operands)?;
                self.push(b"}")
            }
            Node::New { placement, class, initializer } => {
                self.push(b"new ")?;
                if !placement.is_empty() {
                    self.push(b"(")?;
                    self.list(placement)?;
                    self.push(b") ")?;
                }
                self.print(*class)?;
                match initializer {
                    Some(initializer) => self.subexpression(*initializer),
                    None => Some(()),
                }
            }
            Node::Fold(operator, left, right) => self.fold(operator, *left, *right),
            Node::PackLength(pattern) => {
                let length = match self.node(*pattern) {
                    Node::Arguments(list) => list.len(),
                    _ => self.pack_length(*pattern).unwrap_or(0),
                };
                self.push(length.to_string().as_bytes())
            }
            Node::Global(inner) => {
                self.push(b"::")?;
                self.print(*inner)
            }
            _ => None,
        }
    }

    /// An operand: in parentheses unless it is a plain name.
    pub(super) fn subexpression(&mut self, id: Id) -> Option<()> {
        let plain = matches!(
            self.node(id),
            Node::Name(_) | Node::Qualified(..) | Node::Braced(..) | Node::FunctionParameter(_)
        );
        if plain {
            return self.print(id);
        }
        self.push(b"(")?;
        self.print(id)?;
        self.push(b")")
    }

    fn unary(&mut self, operator: &'static Operator, operand: Id) -> Option<()> {
        self.push(operator.text.as_bytes())?;
        // The address of a member function is that of its name.
        if operator.code == *b"ad"
            && let Node::Typed { name, function, .. } = self.node(operand)
            && matches!(self.node(*name), Node::Qualified(..))
            && matches!(self.node(*function), Node::Function(function) if function.suffixes.is_empty())
        {
            return self.subexpression(*name);
        }
        if matches!(&operator.code, b"st" | b"at" | b"ti" | b"nx") {
            self.push(b"(")?;
            self.print(operand)?;
            return self.push(b")");
        }
        self.subexpression(operand)
    }

    fn binary(&mut self, operator: &'static Operator, left: Id, right: Id) -> Option<()> {
        match &operator.code {
            b"cc" | b"dc" | b"rc" | b"sc" => {
                self.push(operator.text.as_bytes())?;
                self.push(b"<")?;
                self.print(left)?;
                self.push(b">(")?;
                self.print(right)?;
                return self.push(b")");
            }
            b"cl" => {
                match self.node(left) {
                    Node::Typed { name, .. } => self.subexpression(*name)?,
                    _ => self.subexpression(left)?,
                }
                return self.subexpression(right);
            }
            b"ix" => {
                self.subexpression(left)?;
                self.push(b"[")?;
                self.print(right)?;
                return self.push(b"]");
            }
            _ => {}
        }
        // A bare `>` would end the template arguments around it.
        let is_greater = operator.code == *b"gt";
        if is_greater {
            self.push(b"(")?;
        }
        self.subexpression(left)?;
        self.push(operator.text.as_bytes())?;
        self.subexpression(right)?;
        if is_greater { self.push(b")") } else { Some(()) }
    }

    fn fold(&mut self, operator: &'static Operator, left: Option<Id>, right: Option<Id>) -> Option<()> {
        let symbol = operator.text.as_bytes();
        self.push(b"(")?;
        match (left, right) {
            (Some(left), Some(right)) => {
                self.subexpression(left)?;
                self.push(symbol)?;
                self.push(b"...")?;
                self.push(symbol)?;
                self.subexpression(right)?;
            }
            (Some(left), None) => {
                self.subexpression(left)?;
                self.push(symbol)?;
                self.push(b"...")?;
            }
            (None, right) => {
                self.push(b"...")?;
                self.push(symbol)?;
                self.subexpression(right?)?;
            }
        }
        self.push(b")")
    }

    /// A value of the type `class`; `n` is the minus sign.
    fn literal(&mut self, class: Id, value: &[u8]) -> Option<()> {
        let (sign, digits) = match value.strip_prefix(b"n") {
            Some(digits) => (&b"-"[..], digits),
            None => (&b""[..], value),
        };
        let suffix = match self.node(class) {
            Node::Text("bool") if value == b"0" => return self.push(b"false"),
            Node::Text("bool") if value == b"1" => return self.push(b"true"),
            Node::Text("int") => Some(&b""[..]),
            Node::Text("unsigned int") => Some(&b"u"[..]),
            Node::Text("long") => Some(&b"l"[..]),
            Node::Text("unsigned long") => Some(&b"ul"[..]),
            Node::Text("long long") => Some(&b"ll"[..]),
            Node::Text("unsigned long long") => Some(&b"ull"[..]),
            _ => None,
        };
        if let Some(suffix) = suffix {
            self.push(sign)?;
            self.push(digits)?;
            return self.push(suffix);
        }
        self.push(b"(")?;
        self.print(class)?;
        self.push(b")")?;
        self.push(sign)?;
        let is_float = matches!(
            self.node(class),
            Node::Text("float" | "double" | "long double" | "__float128" | "half")
        );
        if is_float {
            self.push(b"[")?;
            self.push(digits)?;
            return self.push(b"]");
        }
        self.push(digits)
    }
}
