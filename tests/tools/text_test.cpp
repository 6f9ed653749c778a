#include "tools/support/console/text.h"

#include "tools/support/console/json.h"
#include "tools/support/console/progress.h"
#include "tools/support/console/table.h"

#include <gtest/gtest.h>

#include <limits>

namespace pli::tools {
namespace {

TEST(Text, KeepsWhatIsPrintable) {
  EXPECT_EQ(printable("layer1.0/conv1:0"), "layer1.0/conv1:0");
  EXPECT_EQ(printable("größe 漢字 🙂"), "größe 漢字 🙂");
}

TEST(Text, EscapesWhatWouldBreakALineOrSpeakToTheTerminal) {
  EXPECT_EQ(printable("a\nb\x1b[31m\x7f"), "a\\x0ab\\x1b[31m\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");  // the one-character form of ESC [
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
}

TEST(Text, EscapesWhatIsNotUtf8) {
  EXPECT_EQ(printable("a\xff"), "a\\xff");
  EXPECT_EQ(printable("\xe6\xbc"), "\\xe6\\xbc");  // cut
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");  // longer than it need be
  EXPECT_EQ(printable("\xe6"
                      "A"),
            "\\xe6A");
}

TEST(Text, ScalesToThreeDigits) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1000), "1.00 kB");
  EXPECT_EQ(bytes_text(244870), "245 kB");
  EXPECT_EQ(bytes_text(999600), "1.00 MB");
  EXPECT_EQ(bytes_text(97.84e6), "97.8 MB");
  EXPECT_EQ(count_text(12), "12");
  EXPECT_EQ(count_text(8.207e9), "8.21 G");
  EXPECT_EQ(time_text(0.0123), "12 us");
  EXPECT_EQ(time_text(1.5), "1.50 ms");
  EXPECT_EQ(time_text(44.81), "44.8 ms");
  EXPECT_EQ(time_text(999.6), "1.00 s");
  EXPECT_EQ(time_text(61234), "61.2 s");
}

TEST(Text, ShortensInTheMiddle) {
  EXPECT_EQ(shortened("features.denseblock1.norm", 25), "features.denseblock1.norm");
  EXPECT_EQ(shortened("features.denseblock1.norm", 15), "featur...1.norm");
  EXPECT_EQ(shortened("größe.größe", 8), "gr...öße");
  EXPECT_EQ(shortened("abcdef", 3), "abc");
  EXPECT_EQ(shortened("abcdef", 0), "");
}

TEST(Text, WrapsBetweenWords) {
  EXPECT_EQ(wrapped("one two three\nfour", 10), "one two\n    three\nfour");
  EXPECT_EQ(wrapped("one two three\n", 9, 0), "one two\nthree\n");
  EXPECT_EQ(wrapped("  one two three", 9, 2), "  one two\n    three");
  EXPECT_EQ(wrapped("as  it  is", 10), "as  it  is");
  EXPECT_EQ(wrapped("name: features.denseblock1.norm", 20, 0), "name:\nfeatures...ock1.norm");
  EXPECT_EQ(wrapped("\x1b[32mgreen\x1b[0m one", 9), "\x1b[32mgreen\x1b[0m one") << "colours take no room";
}

TEST(Text, EstimatesWhatIsLeft) {
  EXPECT_EQ(progress_text(0, 0), "0 %");
  EXPECT_EQ(progress_text(0.05, 100), "5 %");
  EXPECT_EQ(progress_text(0.25, 2000), "25 %, about 6.00 s left");
  EXPECT_EQ(progress_text(0.05, 2000), "5 %, about 38.0 s left");
}

TEST(Text, Plurals) {
  EXPECT_EQ(plural(1, "node"), "1 node");
  EXPECT_EQ(plural(0, "node"), "0 nodes");
}

TEST(Table, AlignsByCharactersNotBytes) {
  Table table({Table::Align::kLeft, Table::Align::kRight}, {"name", "count"});
  table.add({"größe", "7"});
  table.add({"n", "1234567"});
  EXPECT_EQ(table.text(1), " name     count\n größe        7\n n      1234567\n");
}

TEST(Table, FillsMissingCellsAndEndsLinesWithoutSpaces) {
  Table table({Table::Align::kLeft, Table::Align::kLeft});
  table.add({"long name"});
  table.add({"x", "y"});
  EXPECT_EQ(table.text(0), "long name\nx          y\n");
}

TEST(Table, ShortensTheWidestCellsToFit) {
  Table table({Table::Align::kLeft, Table::Align::kLeft}, {"name", "count"});
  table.add({"features.denseblock1.norm", "12"});
  EXPECT_EQ(table.text(2, 22), "  name           count\n  featu....norm  12\n");
  EXPECT_EQ(table.text(2, 100), table.text(2));
}

TEST(Table, KeepsEachRowOnItsLine) {
  Table table({Table::Align::kLeft});
  table.add({"a\nb"});
  EXPECT_EQ(table.text(0), "a\\x0ab\n");
}

TEST(Json, KeepsOrderAndSurvivesAnyBytes) {
  const Json document{{"z", 1}, {"a", "\xff"}, {"n", std::numeric_limits<double>::quiet_NaN()}};
  EXPECT_EQ(json_line(document), "{\"z\":1,\"a\":\"\xef\xbf\xbd\",\"n\":null}\n");
}

}  // namespace
}  // namespace pli::tools
