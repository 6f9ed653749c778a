#include "tools/support/reports/optimize_report.h"

#include "tools/support/console/json.h"
#include "tools/support/console/progress.h"
#include "tools/support/console/table.h"
#include "tools/support/console/text.h"

#include "runtime/onnx/load.h"

#include <algorithm>
#include <filesystem>

namespace pli::tools {

namespace {

constexpr size_t kMostListed = 12;  // one by one; of more the report says how many of a kind

std::string label(const Fold& fold) {
  const std::string name = fold.name.empty() ? fold.output : fold.name;
  return fold.graph.empty() ? name : fold.graph + "/" + name;
}

Json facts_json(const ModelFacts& facts) {
  return {{"path", facts.path},
          {"bytes", facts.bytes},
          {"nodes", facts.nodes},
          {"nested_nodes", facts.nested_nodes},
          {"opset", facts.opset}};
}

std::string_view status_name(Verification::Status status) {
  switch (status) {
    case Verification::Status::kPassed:
      return "passed";
    case Verification::Status::kFailed:
      return "failed";
    case Verification::Status::kSkipped:
      return "skipped";
  }
  return "skipped";
}

Json verification_json(const Verification& verification) {
  return {{"status", status_name(verification.status)},
          {"reason", verification.reason},
          {"note", verification.note},
          {"inputs", verification.inputs},
          {"random", verification.random},
          {"guessed", verification.guessed},
          {"samples", verification.samples},
          {"max_abs", verification.max_abs},
          {"max_rel_rms", verification.max_rel_rms},
          {"max_of_allowed", verification.max_of_allowed},
          {"undone", verification.undone}};
}

Json broken_json(const std::vector<BrokenNode>& nodes) {
  Json items = Json::array();
  for (const BrokenNode& broken : nodes) items.push_back({{"node", broken.node}, {"reason", broken.reason}});
  return items;
}

/// "10 of 12 BatchNormalizations folded".
std::string folded_text(const std::vector<Fold>& folds, std::string_view one, std::string_view many) {
  return fmt::format("{} of {} {} folded", std::ranges::count_if(folds, &Fold::folded), folds.size(),
                     folds.size() == 1 ? one : many);
}

/// The passes that changed something, and how often.
std::string passes_text(const Report& report) {
  std::string text;
  for (const PassRun& run : report.passes)
    if (run.changes > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", run.name, run.changes);
  return text.empty() ? "nothing" : text;
}

/// "3 random input sets, image float32[1, 1, 8, 8] (guessed: --dim batch=1)".
std::string inputs_text(const Verification& verification) {
  const std::string sets = plural(verification.samples, verification.random ? "random input set" : "given input set");
  const std::string guessed = verification.guessed.empty() ? "" : fmt::format(" (guessed: {})", verification.guessed);
  return printable(fmt::format("{}, {}{}", sets, verification.inputs, guessed));
}

void print_verification(const CommandLine& line, const Verification& verification) {
  for (const std::string& output : verification.undone)
    line.print("undone, because the result differed with it: the fold of \"{}\"\n", printable(output));
  switch (verification.status) {
    case Verification::Status::kPassed:
      line.print("{}: {}: largest difference {:.2g}, {:.2g} of the output's RMS, {:.2g} % of what is allowed\n",
                 paint(Colour::kGreen, "verified"), inputs_text(verification), verification.max_abs,
                 verification.max_rel_rms, 100 * verification.max_of_allowed);
      if (!verification.note.empty()) line.print("note: {}\n", printable(verification.note));
      break;
    case Verification::Status::kFailed:
      line.print("{}: {}: {}\n", paint(Colour::kRed, "the results differ"), inputs_text(verification),
                 printable(verification.reason));
      break;
    case Verification::Status::kSkipped:
      line.print("{}: {}\n", paint(Colour::kYellow, "not verified"), printable(verification.reason));
      break;
  }
}

void print_broken(const CommandLine& line, const std::vector<BrokenNode>& nodes) {
  const size_t shown = line.verbose() ? nodes.size() : std::min(nodes.size(), kMostListed);
  for (size_t i = 0; i < shown; ++i)
    line.print("{}: {}: {}\n", paint(Colour::kYellow, "left as it is, since it breaks the standard"),
               printable(nodes[i].node), printable(nodes[i].reason));
  if (shown < nodes.size()) line.print("and {} more such nodes; -v lists them\n", nodes.size() - shown);
}

std::string_view action_name(SavedFile::Action action) {
  switch (action) {
    case SavedFile::Action::kWritten:
      return "written";
    case SavedFile::Action::kReplaced:
      return "replaced";
    case SavedFile::Action::kRemoved:
      return "removed";
  }
  return "written";
}

Json files_json(const std::vector<SavedFile>& files) {
  Json list = Json::array();
  for (const SavedFile& file : files)
    list.push_back({{"path", file.path.string()}, {"action", action_name(file.action)}});
  return list;
}

void print_files(const CommandLine& line, const OptimizeOutcome& outcome) {
  for (const auto& [path, action] : outcome.files) {
    const std::string name = printable(path.string());
    const std::string size = bytes_text(static_cast<double>(bytes_of(path)));
    std::error_code error;
    if (action == SavedFile::Action::kRemoved)
      line.print("removed {}\n", name);
    else if (action == SavedFile::Action::kWritten)
      line.print("wrote {}: {}\n", name, size);
    else if (path == outcome.report_path || std::filesystem::equivalent(path, outcome.input.path, error))
      line.print("replaced {}: {}\n", name, size);
    else
      line.print("replaced {}, another file than the input: {}\n", name, size);
  }
}

// --- what became of each -----------------------------------------------------------------------------------------

/// "no linear neighbour".
std::string in_words(std::string code) {
  std::ranges::replace(code, '_', ' ');
  return code;
}

std::string listed(const CommandLine& line, const std::vector<Fold>& folds, std::string_view what) {
  using Align = Table::Align;
  Table table({Align::kLeft, Align::kLeft, Align::kLeft}, {std::string(what), "folded into", "how"});
  std::string kept;
  for (const Fold& fold : folds) {
    if (fold.folded)
      table.add({label(fold), fold.into, fold.how});
    else
      kept +=
          fmt::format("  kept {}\n      {}: {}\n", printable(label(fold)), in_words(fold.code), printable(fold.reason));
  }
  return (table.empty() ? "" : table.text(2, line.width())) + kept;
}

std::string grouped(const CommandLine& line, const std::vector<Fold>& folds) {
  struct Group {
    std::string heading;
    std::vector<const Fold*> folds;
  };
  std::vector<Group> groups;
  for (const Fold& fold : folds) {
    const std::string heading = (fold.folded ? "folded, " : "kept, ") + in_words(fold.folded ? fold.how : fold.code);
    auto group = std::ranges::find(groups, heading, &Group::heading);
    if (group == groups.end()) group = groups.insert(groups.end(), {heading, {}});
    group->folds.push_back(&fold);
  }
  std::string text;
  for (const auto& [heading, members] : groups) {
    const Fold& first = *members.front();
    const std::string start = fmt::format("  {:4} x {}: ", members.size(), heading);
    const std::string rest = members.size() > 1 ? ", ..." : "";
    const size_t used = start.size() + rest.size();
    text += start + shortened(printable(label(first)), line.width() > used ? line.width() - used : 1) + rest + '\n';
    const std::string_view which = members.size() > 1 ? "the first: " : "";
    if (!first.folded) text += fmt::format("         {}{}\n", which, printable(first.reason));
  }
  return text;
}

}  // namespace

ModelFacts facts_of(const Model& model, const std::string& path, int64_t bytes) {
  const ir::Graph& graph = model.ir()->graph;
  ModelFacts facts{path, bytes, count_nodes(model), 0, graph.opset("")};
  facts.nested_nodes = facts.nodes - static_cast<int64_t>(graph.node_count());
  return facts;
}

int64_t count_nodes(const Model& model) {
  int64_t nodes = 0;
  ir::for_each_graph(model.ir()->graph,
                     [&](const ir::Graph& graph) { nodes += static_cast<int64_t>(graph.node_count()); });
  return nodes;
}

std::string nodes_text(const ModelFacts& facts) {
  const std::string nested =
      facts.nested_nodes ? fmt::format(" ({} of them in nested graphs)", facts.nested_nodes) : "";
  return plural(facts.nodes, "node") + nested;
}

Json folds_json(const std::vector<Fold>& folds) {
  Json items = Json::array();
  for (const Fold& fold : folds) {
    Json item{{"name", fold.name},
              {"output", fold.output},
              {"graph", fold.graph},
              {"status", fold.folded ? "folded" : "kept"}};
    if (fold.folded) {
      item["into"] = fold.into;
      item["how"] = fold.how;
    } else {
      item["code"] = fold.code;
      item["reason"] = fold.reason;
    }
    items.push_back(std::move(item));
  }
  const auto folded = std::ranges::count_if(folds, &Fold::folded);
  return {{"found", folds.size()},
          {"folded", folded},
          {"kept", static_cast<int64_t>(folds.size()) - folded},
          {"items", std::move(items)}};
}

Json outcome_json(const OptimizeOutcome& outcome) {
  Json passes = Json::array();
  for (const PassRun& run : outcome.report.passes)
    passes.push_back({{"name", run.name}, {"changes", run.changes}, {"ms", run.ms}});
  return {{"input", facts_json(outcome.input)},
          {"output", outcome.output ? facts_json(*outcome.output) : Json()},
          {"files", files_json(outcome.files)},
          {"unchanged", outcome.unchanged},
          {"batch_norms", folds_json(outcome.report.batch_norms)},
          {"affines", folds_json(outcome.report.affines)},
          {"passes", std::move(passes)},
          {"nodes_before", outcome.report.nodes_before},
          {"nodes_after", outcome.report.nodes_after},
          {"subnormals_cleared", outcome.report.subnormals_cleared},
          {"broken_nodes", broken_json(outcome.report.broken_nodes)},
          {"notes", outcome.report.notes},
          {"origin", outcome.report.origin},
          {"verification", verification_json(outcome.verification)},
          {"time_ms",
           {{"load", outcome.load_ms},
            {"optimize", outcome.optimize_ms},
            {"verify", outcome.verify_ms},
            {"save", outcome.save_ms},
            {"total", outcome.total_ms}}}};
}

std::string folds_text(const CommandLine& line, const std::vector<Fold>& folds, std::string_view what) {
  return line.verbose() || folds.size() <= kMostListed ? listed(line, folds, what) : grouped(line, folds);
}

std::string normalizations_text(const CommandLine& line, const Report& report) {
  const std::string affines = folds_text(line, report.affines, "scale or shift by a constant");
  const std::string affines_folded =
      folded_text(report.affines, "scale or shift by a constant", "scales or shifts by a constant") + "\n";
  if (report.batch_norms.empty() && report.affines.empty())
    return "no BatchNormalization in it, nor what decomposing one leaves: many exporters fold them themselves\n";
  if (report.batch_norms.empty())
    return "no BatchNormalization in it, but scales or shifts by a constant, as decomposing one leaves them:\n" +
           affines + affines_folded;
  return folds_text(line, report.batch_norms, "BatchNormalization") +
         folded_text(report.batch_norms, "BatchNormalization", "BatchNormalizations") + "\n" +
         (report.affines.empty() ? "" : (line.verbose() ? affines : "") + affines_folded);
}

void print_outcome(const CommandLine& line, const OptimizeOutcome& outcome) {
  const Report& report = outcome.report;
  line.print("{}: {}, {}, opset {}\n", printable(outcome.input.path),
             bytes_text(static_cast<double>(outcome.input.bytes)), nodes_text(outcome.input), outcome.input.opset);
  line.print("{}", normalizations_text(line, report));
  if (outcome.unchanged)
    line.print("nothing to change: the model stays as it is, and there is nothing to verify\n");
  else
    line.print("changes by pass: {}; {} -> {}\n", passes_text(report), plural(outcome.input.nodes, "node"),
               outcome.nodes_after);
  if (report.subnormals_cleared)
    line.print("{} that had become subnormal set to zero\n", plural(report.subnormals_cleared, "folded weight"));
  print_broken(line, report.broken_nodes);
  for (const std::string& note : report.notes) line.print("note: {}\n", printable(note));
  if (!outcome.unchanged) print_verification(line, outcome.verification);
  print_files(line, outcome);
  if (!outcome.output && outcome.verification.status != Verification::Status::kFailed)
    line.print("nothing written: -o FILE writes the result\n");
  line.print("time: load {}, optimize {}, verify {}, save {}, total {}\n", time_text(outcome.load_ms),
             time_text(outcome.optimize_ms), time_text(outcome.verify_ms), time_text(outcome.save_ms),
             time_text(outcome.total_ms));
}

}  // namespace pli::tools
