#include "litmus/format.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "litmus/generator.hpp"
#include "litmus/lexer.hpp"
#include "litmus/parser.hpp"
#include "litmus/printer.hpp"
#include "litmus/random.hpp"
#include "litmus/samples_test.hpp"

namespace cowherd::litmus {
namespace {

std::string formatted(std::string_view text) {
  const FormatResult result = format(text, "t");
  std::string out = result.text.value_or("");
  for (const Diagnostic& diagnostic : result.diagnostics) out += diagnostic.to_text();
  return out;
}

TEST(Format, CanonicalTextStays) { EXPECT_EQ(formatted(kEverything), kEverything); }

TEST(Format, CommentsKeepTheirPlaces) {
  EXPECT_EQ(formatted("// above all\r\n"
                      "COW  t // name\n"
                      "# about the text\n"
                      "(* Result:   Never *) \"text\" /* behind */\n"
                      "(* Remark: kept\n * short *)\n"
                      "// about the memory\n"
                      "{ // open\n"
                      "  d = device; /* the device */ // and more\n"
                      "  // about x\n"
                      "  x = anon (1) ; // first\n"
                      "  // last in init\n"
                      "} // closed\n"
                      "/* a block */ P0 ( ) // head\n"
                      "{ exec(); // bye\n"
                      "  /* two\n"
                      "     lines   */ r0 = READ_ONCE( /* inside */ *x) // no semicolon yet\n"
                      "  ;\n"
                      "  // end of P0\n"
                      "}\n"
                      "locations [] // nothing\n"
                      "exists (0:r0 = 1 /* one */)  (* why *)\n"
                      "// the end"),
            "// above all\n"
            "COW t  // name\n"
            "# about the text\n"
            "\"text\"  /* behind */\n"
            "(* Result: Never *)\n"
            "(* Remark: kept short *)\n"
            "// about the memory\n"
            "{  // open\n"
            "  // about x\n"
            "  x = anon(1);  // first\n"
            "  d = device;  /* the device */ // and more\n"
            "  // last in init\n"
            "}  // closed\n"
            "/* a block */\n"
            "P0(page *x)  // head\n"
            "{\n"
            "  exec();  // bye\n"
            "  /* two\n"
            "     lines   */\n"
            "  /* inside */\n"
            "  r0 = READ_ONCE(*x);  // no semicolon yet\n"
            "  // end of P0\n"
            "}\n"
            "// nothing\n"
            "/* one */\n"
            "exists (0:r0=1)  (* why *)\n"
            "// the end\n");
}

TEST(Format, SaysWhatIsWrong) {
  const FormatResult result = format("COW t { x = anon }\nP0() { READ_ONCE(*y); }", "t");
  EXPECT_FALSE(result.text.has_value());
  EXPECT_EQ(result.diagnostics.size(), 1u);
}

std::vector<std::string> comments_of(std::string_view text) {
  const SourceText source(text, "t");
  std::vector<std::string> found;
  for (const Comment& comment : lex(source).comments) found.emplace_back(comment.text);
  std::sort(found.begin(), found.end());
  return found;
}

/// Comments strewn between the tokens of random programs: none is lost, the program stays the same, and a second
/// formatting changes nothing.
TEST(Format, LosesNoCommentAndIsIdempotent) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    const Program program = random_program(seed);
    const std::string canonical = print(program);
    const SourceText source(canonical, "t");
    std::string strewn;
    std::size_t from = 0;
    std::size_t number = 0;
    for (const Token& token : lex(source).tokens) {
      strewn += canonical.substr(from, token.begin - from);
      // Between a statement's name and its place, `(*` would be a comment; spaces keep names apart.
      if (random.percent(15) && token.kind != TokenKind::kTestName) {
        static constexpr std::array<const char*, 5> kForms{" /* c{} */ ", " // c{}\n", " # c{}\n", "\n/* c{}\n b */\n",
                                                           "\n // c{}\n"};
        std::string comment = kForms[random.below(kForms.size())];
        comment.replace(comment.find("{}"), 2, std::to_string(number++));
        strewn += comment;
      }
      strewn += canonical.substr(token.begin, token.end - token.begin);
      from = token.end;
    }
    strewn += canonical.substr(from);
    const std::string once = formatted(strewn);
    const ParseResult parsed = parse(once, "formatted");
    ASSERT_TRUE(parsed.ok()) << strewn << "\n" << once << parsed.to_text();
    EXPECT_TRUE(*parsed.program == program);
    EXPECT_EQ(formatted(once), once) << strewn;
    EXPECT_EQ(comments_of(once), comments_of(strewn)) << strewn << once;
  }
}

}  // namespace
}  // namespace cowherd::litmus
