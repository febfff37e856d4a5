// A compiler driver with everything clang and LLVM have: it exists to be linked.
//
//   clangtool --self-check       compiles a snippet for several targets and prints what came out
//   clangtool ARGUMENTS...       is clang's own compiler: ARGUMENTS are those of `clang -cc1`
//
// The self-check goes through the lexer, parser, semantic analysis, IR generation, the
// optimizer, several code generators, the formatter and the AST matchers, so a program that was linked
// wrong has little chance to pass it. Its output is the same every time.

#include <memory>
#include <string>
#include <vector>

#include "clang/ASTMatchers/ASTMatchFinder.h"
#include "clang/ASTMatchers/ASTMatchers.h"
#include "clang/Basic/DiagnosticOptions.h"
#include "clang/CodeGen/CodeGenAction.h"
#include "clang/Format/Format.h"
#include "clang/Frontend/CompilerInstance.h"
#include "clang/Frontend/CompilerInvocation.h"
#include "clang/Frontend/TextDiagnosticPrinter.h"
#include "clang/FrontendTool/Utils.h"
#include "clang/Tooling/Tooling.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Passes/PassPlugin.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/VirtualFileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"


// Polly is in a package of its own; LLVM's pipeline asks for it all the same.
llvm::PassPluginLibraryInfo getPollyPluginInfo() {
  return {LLVM_PLUGIN_API_VERSION, "no Polly", "", [](llvm::PassBuilder &) {}};
}

namespace {

const char Snippet[] = R"(
template <class T> struct List { T value; List *next; };
template <class T> T sum(const List<T> *list) {
  T total = 0;
  for (; list; list = list->next) total += list->value;
  return total;
}
struct Shape { virtual ~Shape() {} virtual double area() const = 0; };
struct Square : Shape { double side = 2; double area() const override { return side * side; } };
double twice(const Shape &shape) { return 2 * shape.area(); }
int answer() { List<int> two{40, nullptr}, one{2, &two}; return sum(&one); }
double four() { return twice(Square()); }
)";

const char *const Triples[] = {
    "x86_64-unknown-linux-gnu",  "aarch64-unknown-linux-gnu",  "riscv64-unknown-linux-gnu",
    "powerpc64le-linux-gnu",     "s390x-unknown-linux-gnu",    "wasm32-unknown-unknown",
    "loongarch64-unknown-linux-gnu",
};

// Prepares a compiler for `arguments`, reading Snippet under the name "snippet.cc".
bool prepare(clang::CompilerInstance &compiler, std::vector<const char *> arguments) {
  auto files = llvm::makeIntrusiveRefCnt<llvm::vfs::InMemoryFileSystem>();
  files->addFile("snippet.cc", 0, llvm::MemoryBuffer::getMemBuffer(Snippet));
  arguments.insert(arguments.end(), {"-x", "c++", "-std=c++20", "-fcxx-exceptions", "snippet.cc"});
  compiler.createDiagnostics(
      new clang::TextDiagnosticPrinter(llvm::errs(), new clang::DiagnosticOptions()));
  if (!clang::CompilerInvocation::CreateFromArgs(compiler.getInvocation(), arguments,
                                                 compiler.getDiagnostics()))
    return false;
  compiler.createFileManager(files);
  return true;
}

// Compiles the snippet for one target down to an object file; says what is in it.
bool compileFor(const char *triple) {
  llvm::LLVMContext context;
  clang::CompilerInstance compiler;
  clang::EmitLLVMOnlyAction action(&context);
  if (!prepare(compiler, {"-triple", triple, "-O2", "-emit-llvm-only"}) ||
      !compiler.ExecuteAction(action))
    return false;
  std::unique_ptr<llvm::Module> module = action.takeModule();
  if (!module)
    return false;

  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target) {
    llvm::errs() << error << "\n";
    return false;
  }
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, "", "", llvm::TargetOptions(), llvm::Reloc::PIC_));
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    return false;
  passes.run(*module);

  llvm::MemoryBufferRef buffer(llvm::StringRef(bytes.data(), bytes.size()), "object");
  auto object = llvm::object::ObjectFile::createObjectFile(buffer);
  if (!object) {
    llvm::errs() << llvm::toString(object.takeError()) << "\n";
    return false;
  }
  unsigned symbols = 0;
  for (const auto &symbol : (*object)->symbols()) {
    (void)symbol;
    ++symbols;
  }
  llvm::outs() << triple << ": " << (*object)->getFileFormatName() << ", " << module->size()
               << " functions, " << (symbols > 0 ? "symbols" : "no symbols") << "\n";
  return symbols > 0;
}

// Counts the virtual functions of the snippet by matching on its syntax tree.
bool match() {
  using namespace clang::ast_matchers;
  struct Counter : MatchFinder::MatchCallback {
    unsigned Count = 0;
    void run(const MatchFinder::MatchResult &) override { ++Count; }
  } counter;
  MatchFinder finder;
  finder.addMatcher(cxxMethodDecl(isVirtual(), unless(isImplicit())).bind("method"), &counter);
  auto factory = clang::tooling::newFrontendActionFactory(&finder);
  if (!clang::tooling::runToolOnCode(factory->create(), Snippet, "snippet.cc"))
    return false;
  llvm::outs() << "virtual functions: " << counter.Count << "\n";
  return true;
}

// Formats a line in the way of LLVM.
bool format() {
  const llvm::StringRef code = "int   main( ){return   0 ;}";
  auto style = clang::format::getLLVMStyle();
  clang::tooling::Range all(0, code.size());
  auto changed = clang::tooling::applyAllReplacements(
      code, clang::format::reformat(style, code, {all}));
  if (!changed)
    return false;
  llvm::outs() << "formatted: " << *changed << "\n";
  return true;
}

// What `clang -cc1` does with these arguments.
int compile(int argc, const char **argv) {
  clang::CompilerInstance compiler;
  compiler.createDiagnostics(
      new clang::TextDiagnosticPrinter(llvm::errs(), new clang::DiagnosticOptions()));
  if (!clang::CompilerInvocation::CreateFromArgs(
          compiler.getInvocation(), llvm::ArrayRef(argv + 1, argv + argc), compiler.getDiagnostics()))
    return 1;
  return clang::ExecuteCompilerInvocation(&compiler) ? 0 : 1;
}

} // namespace

int main(int argc, const char **argv) {
  llvm::InitializeAllTargetInfos();
  llvm::InitializeAllTargets();
  llvm::InitializeAllTargetMCs();
  llvm::InitializeAllAsmPrinters();
  llvm::InitializeAllAsmParsers();
  llvm::InitializeAllDisassemblers();
  if (argc != 2 || llvm::StringRef(argv[1]) != "--self-check")
    return compile(argc, argv);

  for (const char *triple : Triples)
    if (!compileFor(triple))
      return 1;
  if (!match() || !format())
    return 1;
  llvm::outs() << "self-check passed\n";
  return 0;
}
