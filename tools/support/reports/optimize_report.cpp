#include "tools/support/reports/optimize_report.h"

#include "tools/support/console/json.h"
#include "tools/support/console/progress.h"
#include "tools/support/console/table.h"
#include "tools/support/console/text.h"

#include "runtime/onnx/load.h"

#include <pli/version.h>

#include <algorithm>
#include <filesystem>

namespace pli::tools {

namespace {

std::string label(const Fold& fold) {
  const std::string name = fold.name.empty() ? fold.output : fold.name;
  return fold.graph.empty() ? name : fold.graph + "/" + name;
}

Json facts_json(const ModelFacts& facts) {
  return {{"path", facts.path}, {"bytes", facts.bytes}, {"nodes", facts.nodes}, {"opset", facts.opset}};
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
          {"samples", verification.samples},
          {"max_abs", verification.max_abs},
          {"max_rel_rms", verification.max_rel_rms},
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

void print_verification(const CommandLine& line, const Verification& verification) {
  for (const std::string& output : verification.undone)
    line.print("undone, because the result differed with it: the fold of \"{}\"\n", printable(output));
  switch (verification.status) {
    case Verification::Status::kPassed:
      line.print("{}: {}, {}: largest difference {:.2g}, {:.2g} of the output's RMS\n",
                 paint(Colour::kGreen, "verified"), plural(verification.samples, "input set"),
                 printable(verification.inputs), verification.max_abs, verification.max_rel_rms);
      if (!verification.note.empty()) line.print("note: {}\n", printable(verification.note));
      break;
    case Verification::Status::kFailed:
      line.print("{}: {}: {}\n", paint(Colour::kRed, "the results differ"), printable(verification.inputs),
                 printable(verification.reason));
      break;
    case Verification::Status::kSkipped:
      line.print("{}: {}\n", paint(Colour::kYellow, "not verified"), printable(verification.reason));
      break;
  }
}

}  // namespace

ModelFacts facts_of(const Model& model, const std::string& path, bool external) {
  ModelFacts facts{path, 0, 0, model.ir()->graph.opset("")};
  const auto add_file = [&](const std::filesystem::path& file) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(file, error);
    if (!error) facts.bytes += static_cast<int64_t>(bytes);
  };
  add_file(path);
  if (external)
    for (const std::string& location : external_files(path))
      add_file(std::filesystem::path(path).parent_path() / location);
  ir::for_each_graph(model.ir()->graph,
                     [&](const ir::Graph& graph) { facts.nodes += static_cast<int64_t>(graph.node_count()); });
  return facts;
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

Json outcome_json(const OptimizeOutcome& outcome, const Json& options) {
  Json passes = Json::array();
  for (const PassRun& run : outcome.report.passes)
    passes.push_back({{"name", run.name}, {"changes", run.changes}, {"ms", run.ms}});
  return {{"schema", 1},
          {"pli", pli::version()},
          {"options", options},
          {"input", facts_json(outcome.input)},
          {"output", outcome.output ? facts_json(*outcome.output) : Json()},
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

std::string folds_text(const std::vector<Fold>& folds, std::string_view what) {
  using Align = Table::Align;
  Table folded({Align::kLeft, Align::kLeft, Align::kLeft}, {std::string(what), "folded into", "how"});
  Table kept({Align::kLeft, Align::kLeft, Align::kLeft}, {std::string(what), "kept because", ""});
  for (const Fold& fold : folds) {
    if (fold.folded)
      folded.add({label(fold), fold.into, fold.how});
    else
      kept.add({label(fold), fold.code, fold.reason});
  }
  return (folded.empty() ? "" : folded.text()) + (kept.empty() ? "" : kept.text());
}

void print_outcome(const CommandLine& line, const OptimizeOutcome& outcome) {
  const Report& report = outcome.report;
  line.print("{}: {}, {}, opset {}\n", printable(outcome.input.path),
             bytes_text(static_cast<double>(outcome.input.bytes)), plural(outcome.input.nodes, "node"),
             outcome.input.opset);
  if (report.batch_norms.empty())
    line.print("no BatchNormalization in it: many exporters fold them themselves\n");
  else
    line.print("{}{}\n", folds_text(report.batch_norms, "BatchNormalization"),
               folded_text(report.batch_norms, "BatchNormalization", "BatchNormalizations"));
  if (!report.affines.empty()) {
    if (line.verbose()) line.print("{}", folds_text(report.affines, "scale or shift by a constant"));
    line.print("{}\n", folded_text(report.affines, "scale or shift by a constant", "scales or shifts by a constant"));
  }
  line.print("changes by pass: {}; {} -> {}\n", passes_text(report), plural(report.nodes_before, "node"),
             report.nodes_after);
  if (report.subnormals_cleared)
    line.print("{} that had become subnormal set to zero\n", plural(report.subnormals_cleared, "folded weight"));
  for (const BrokenNode& broken : report.broken_nodes)
    line.print("{}: {}: {}\n", paint(Colour::kYellow, "left as it is, since it breaks the standard"),
               printable(broken.node), printable(broken.reason));
  for (const std::string& note : report.notes) line.print("note: {}\n", printable(note));
  print_verification(line, outcome.verification);
  if (outcome.output)
    line.print("wrote {}: {}\n", printable(outcome.output->path),
               bytes_text(static_cast<double>(outcome.output->bytes)));
  else if (outcome.verification.status != Verification::Status::kFailed)
    line.print("nothing written: -o FILE writes the result\n");
  line.print("time: load {}, optimize {}, verify {}, save {}, total {}\n", time_text(outcome.load_ms),
             time_text(outcome.optimize_ms), time_text(outcome.verify_ms), time_text(outcome.save_ms),
             time_text(outcome.total_ms));
}

}  // namespace pli::tools
