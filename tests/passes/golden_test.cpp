// What becomes of small models, as text: each file in golden/ holds cases of one kind,
//
//     === a title
//     options: keep=y, folded_path=3     where it needs any: see settings_of
//     before (float[2,3,8,9] x) => (float[] y)
//     <float[5,3,3,2] w>                 weights: see model_text.h
//     {
//       ...
//     }
//
//     after (...) => (...)               or "after: unchanged"
//     <...>
//     {
//       ...
//     }
//     # y goes into c: conv_absorbs_following; Transpose back, Conv behind
//
// whose last lines are the report's, with the operators between the node that is gone and those that took it up. What
// is behind "before" is written by this test when PLI_UPDATE_GOLDEN is set; then read it: is it what should become of
// the model? That it computes the same is checked in any case.

#include "passes/affine/absorb.h"
#include "passes/affine/carry.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/evaluate.h"
#include "tests/passes/model_text.h"
#include "tests/passes/reference.h"
#include "tests/temporary_folder.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <set>
#include <sstream>

namespace pli::test {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(PLI_SOURCE_DIR) / "tests/passes/golden";

// --- files ----------------------------------------------------------------------------------------------------------

struct Case {
  std::string title, options, before, after;
};

/// A line is the first of the next part when it begins with one of these.
const std::string kTitle = "=== ", kOptions = "options: ", kAfter = "after";

std::vector<Case> read_cases(const fs::path& path) {
  std::vector<Case> cases;
  std::istringstream lines(read_file(path));
  std::string* part = nullptr;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(kTitle)) {
      cases.push_back({.title = line.substr(kTitle.size())});
      part = &cases.back().before;
    } else if (cases.empty()) {
      throw std::runtime_error(path.string() + " does not begin with a title");
    } else if (line.starts_with(kOptions)) {
      cases.back().options = line.substr(kOptions.size());
    } else {
      if (line.starts_with(kAfter)) part = &cases.back().after;
      *part += line + "\n";
    }
  }
  for (Case& c : cases)
    for (std::string* text : {&c.before, &c.after}) text->erase(text->find_last_not_of('\n') + 1);
  return cases;
}

void write_cases(const fs::path& path, const std::vector<Case>& cases) {
  std::string text;
  for (const Case& c : cases) {
    text += (text.empty() ? "" : "\n") + kTitle + c.title + "\n";
    if (!c.options.empty()) text += kOptions + c.options + "\n";
    text += c.before + "\n\n" + c.after + "\n";
  }
  std::ofstream(path) << text;
}

/// Relative to kGolden.
std::vector<std::string> golden_files() {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(kGolden))
    if (entry.path().extension() == ".txt") files.push_back(entry.path().lexically_relative(kGolden));
  std::ranges::sort(files);
  return files;
}

struct Settings {
  OptimizeOptions options{.only = {"fold_batch_norm", "fold_channel_affine"}};
  double tolerance = 1e-6;
};

Settings settings_of(const std::string& text) {
  Settings settings;
  const std::regex word("([a-z_]+)=([^, ]+)");
  for (std::sregex_iterator it(text.begin(), text.end(), word), end; it != end; ++it) {
    const std::string key = (*it)[1], value = (*it)[2];
    if (key == "passes")
      settings.options.only = value == "all" ? std::vector<std::string>{} : std::vector{value};
    else if (key == "keep")
      settings.options.keep.push_back(value);
    else if (key == "folded_path")
      settings.options.limits.folded_path = std::stoi(value);
    else if (key == "folded_bytes")
      settings.options.limits.folded_bytes = std::stoi(value);
    else if (key == "tolerance")
      settings.tolerance = std::stod(value);
    else
      throw std::runtime_error("there is no option " + key);
  }
  return settings;
}

// --- what an affine went by -----------------------------------------------------------------------------------------

/// The nodes that data of `start` reaches, or that reach it; itself among them.
std::set<ir::NodeId> reached(const ir::Graph& graph, ir::NodeId start, bool forward) {
  std::set<ir::NodeId> nodes{start};
  std::vector<ir::NodeId> pending{start};
  const auto reach = [&](ir::NodeId id) {
    if (id && nodes.insert(id).second) pending.push_back(id);
  };
  while (!pending.empty()) {
    const ir::Node& node = graph.node(pending.back());
    pending.pop_back();
    for (const ir::ValueId value : forward ? node.outputs : node.inputs) {
      if (!value) continue;
      if (!forward) reach(graph.producer(value));
      for (const ir::Use& use : graph.uses(value))
        if (forward) reach(use.node);
    }
  }
  return nodes;
}

bool is_affine(const ir::Graph& graph, const ir::Node& node) {
  const auto constant = [&](ir::ValueId input) { return input && graph.constant_of(input); };
  return node.is("BatchNormalization") ||
         (passes::is_arithmetic(node) && (node.is("Neg") || std::ranges::any_of(node.inputs, constant)));
}

/// "Transpose back, Conv behind": the operators between what is gone and what took it up, in the order of the way.
std::string steps_of(const ir::Graph& graph, const Fold& fold) {
  const ir::NodeId gone = graph.producer(graph.find(fold.output));
  const auto takes_up = [&](ir::NodeId id) {
    return id != gone && (", " + fold.into + ",").find(", " + graph.node(id).name + ",") != std::string::npos;
  };
  std::vector<std::string> steps;
  for (const bool forth : {false, true}) {
    const std::set<ir::NodeId> beyond = reached(graph, gone, forth);
    std::vector<ir::NodeId> nodes = graph.nodes();
    if (!forth) std::ranges::reverse(nodes);
    for (const ir::NodeId id : nodes) {
      const ir::Node& node = graph.node(id);
      if (!beyond.contains(id) || is_affine(graph, node)) continue;
      if (std::ranges::none_of(reached(graph, id, forth), takes_up)) continue;
      const bool absorbs = takes_up(id) && passes::absorber_of(node);
      const char* way = absorbs ? (forth ? " in front" : " behind") : (forth ? " forth" : " back");
      if (std::ranges::find(steps, node.op_type + way) == steps.end()) steps.push_back(node.op_type + way);
    }
  }
  return fmt::format("{}", fmt::join(steps, ", "));
}

// --- a case ---------------------------------------------------------------------------------------------------------

bool same_constants(const ir::Graph& a, const ir::Graph& b) {
  return std::ranges::equal(a.initializers(), b.initializers(), [&](ir::ValueId x, ir::ValueId y) {
    return identical(*a.value(x).payload, *b.value(y).payload);
  });
}

std::string account_of(const ir::Graph& before, const Report& report) {
  std::string text;
  for (const auto* list : {&report.batch_norms, &report.affines})
    for (const Fold& fold : *list) {
      const std::string name = (fold.graph.empty() ? "" : fold.graph + "/") + fold.output;
      if (fold.folded) {
        const std::string steps = fold.graph.empty() ? steps_of(before, fold) : "";
        text += fmt::format("\n# {} goes into {}: {}{}", name, fold.into, fold.how, steps.empty() ? "" : "; " + steps);
      } else {
        text += fmt::format("\n# {} stays: {}; {}", name, fold.code, fold.reason);
      }
    }
  return text;
}

/// What should be in the file behind "before".
std::string after_of(const Case& c) {
  const Settings settings = settings_of(c.options);
  ir::Model model = model_of(c.before);
  const Optimized result = optimize(model, settings.options);
  (void)ops::infer_types(model.graph, Limits{});
  const std::string text = text_of(result.model.graph, "after");
  const bool unchanged = text == text_of(model.graph, "after") && same_constants(model.graph, result.model.graph);
  if (!unchanged) expect_equal_results(model, result.model, settings.tolerance);
  return (unchanged ? "after: unchanged" : text) + account_of(model.graph, result.report);
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, IsWhatBecomesOfIt) {
  const fs::path path = kGolden / GetParam();
  const bool update = std::getenv("PLI_UPDATE_GOLDEN") != nullptr;
  std::vector<Case> cases = read_cases(path);
  for (Case& c : cases) {
    SCOPED_TRACE(c.title);
    try {
      const std::string after = after_of(c);
      if (!update) {
        EXPECT_EQ(c.after, after);
      }
      c.after = after;
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
  if (update) write_cases(path, cases);
}

std::string golden_name(const testing::TestParamInfo<std::string>& info) {
  return std::regex_replace(fs::path(info.param).replace_extension().string(), std::regex("[^\\w]"), "_");
}

INSTANTIATE_TEST_SUITE_P(Files, Golden, testing::ValuesIn(golden_files()), golden_name);

// --- all of them ----------------------------------------------------------------------------------------------------

/// What the accounts of all cases say: the steps of what folds, such as "Conv behind", and the codes of what stays in a
/// model that is unchanged.
std::set<std::string> all_steps_and_codes() {
  std::set<std::string> found;
  const std::regex folded("# \\S+ goes into [^:]*: \\w+; (.*)"), kept("# \\S+ stays: (\\w+);.*");
  for (const std::string& file : golden_files())
    for (const Case& c : read_cases(kGolden / file)) {
      std::istringstream lines(c.after);
      std::smatch match;
      for (std::string line; std::getline(lines, line);) {
        if (std::regex_match(line, match, folded)) {
          const std::string steps = match[1];
          const std::regex comma(", ");
          found.insert(std::sregex_token_iterator(steps.begin(), steps.end(), comma, -1), {});
        } else if (std::regex_match(line, match, kept) &&
                   (c.after.starts_with("after: unchanged") || match[1] == "dead")) {
          found.insert(match[1]);
        }
      }
    }
  return found;
}

std::string missing(const std::set<std::string>& wanted, const std::set<std::string>& found) {
  std::vector<std::string> left;
  std::ranges::set_difference(wanted, found, std::back_inserter(left));
  return fmt::format("{}", fmt::join(left, ", "));
}

TEST(GoldenFiles, ShowEachLineOfTheTables) {
  std::set<std::string> wanted;
  for (const passes::Absorber& absorber : passes::absorbers()) {
    wanted.insert(std::string(absorber.op_type) + " behind");
    if (absorber.front) wanted.insert(std::string(absorber.op_type) + " in front");
  }
  for (const std::string_view carrier : passes::carriers())
    for (const char* way : {" back", " forth"}) wanted.insert(std::string(carrier) + way);
  EXPECT_EQ(missing(wanted, all_steps_and_codes()), "");
}

TEST(GoldenFiles, ShowEachReasonToStay) {
  const std::set<std::string> elsewhere{
      "function",  // is said by the public function that runs the passes
      "pinned",    // there is no syntax for quantization annotations and training graphs
  };
  const std::string header = read_file(fs::path(PLI_SOURCE_DIR) / "passes/refusal.h");
  const std::regex code("string_view k\\w+ =\\s*\"(\\w+)\"");
  std::set<std::string> wanted;
  for (std::sregex_iterator it(header.begin(), header.end(), code), end; it != end; ++it)
    if (!elsewhere.contains((*it)[1])) wanted.insert((*it)[1]);
  EXPECT_GE(wanted.size(), 21u);
  EXPECT_EQ(missing(wanted, all_steps_and_codes()), "");
}

}  // namespace
}  // namespace pli::test
