#include "tools/support/reports/inspect_report.h"

#include "tools/support/console/json.h"
#include "tools/support/console/progress.h"
#include "tools/support/console/table.h"
#include "tools/support/console/text.h"

#include <algorithm>
#include <map>

namespace pli::tools {

namespace {

std::string text_of(const std::optional<Error>& error) { return error ? error->what() : ""; }

using Align = Table::Align;

Json optional_json(const std::optional<int64_t>& value) { return value ? Json(*value) : Json(); }

std::string optional_text(const std::optional<int64_t>& value, std::string (*text)(double)) {
  return value ? text(static_cast<double>(*value)) : "?";
}

Json named_json(const std::vector<std::pair<std::string, std::string>>& values) {
  Json list = Json::array();
  for (const auto& [name, type] : values) list.push_back({{"name", name}, {"type", type}});
  return list;
}

Json bytes_json(const ByteCounts& counts) {
  Json weights = Json::object();
  for (const auto& [dtype, bytes] : counts.weights) weights[to_string(dtype)] = bytes;
  return {{"weights", std::move(weights)}, {"rest", counts.rest}, {"external", counts.external}};
}

/// "97.5 MB of float32, 1.20 kB of int64, 45.1 kB else; 97.4 MB of it in external data".
std::string bytes_of_file_text(const ByteCounts& counts) {
  std::string text;
  for (const auto& [dtype, bytes] : counts.weights)
    text += fmt::format("{} of {}, ", bytes_text(static_cast<double>(bytes)), to_string(dtype));
  text += fmt::format("{} else", bytes_text(static_cast<double>(counts.rest)));
  if (counts.external)
    text += fmt::format("; {} of it external data", bytes_text(static_cast<double>(counts.external)));
  return text;
}

Json metadata_json(const ModelMetadata& metadata) {
  Json properties = Json::object();
  for (const auto& [key, value] : metadata.properties) properties[key] = value;
  return {{"producer_name", metadata.producer_name},
          {"producer_version", metadata.producer_version},
          {"domain", metadata.domain},
          {"model_version", metadata.model_version},
          {"doc_string", metadata.doc_string},
          {"properties", std::move(properties)}};
}

void print_metadata(const CommandLine& line, const ModelMetadata& metadata) {
  if (!metadata.producer_name.empty())
    line.print("made by {} {}\n", printable(metadata.producer_name), printable(metadata.producer_version));
  if (!metadata.domain.empty() || metadata.model_version != 0)
    line.print("version {}{}\n", metadata.model_version,
               metadata.domain.empty() ? "" : " of " + printable(metadata.domain));
  if (!metadata.doc_string.empty()) line.print("description: {}\n", printable(metadata.doc_string));
  for (const auto& [key, value] : metadata.properties)
    line.print("metadata {}: {}\n", printable(key), printable(value));
}

Json functions_json(const std::vector<InspectedFunction>& functions) {
  Json list = Json::array();
  for (const auto& [name, nodes] : functions) list.push_back({{"name", name}, {"nodes", nodes}});
  return list;
}

Json inspection_json(const Inspection& inspection) {
  Json operators = Json::array();
  for (const OperatorCount& one : inspection.operators)
    operators.push_back({{"type", one.type}, {"count", one.count}, {"unsupported", one.unsupported}});
  Json nodes = Json::array();
  for (const InspectedNode& node : inspection.nodes)
    nodes.push_back({{"type", node.type},
                     {"name", node.name},
                     {"result", node.result},
                     {"flops", optional_json(node.cost.flops)},
                     {"bytes", optional_json(node.cost.bytes)}});
  Json memory;
  if (inspection.memory)
    memory = {{"arena_bytes", inspection.memory->arena_bytes},
              {"scratch_bytes", inspection.memory->scratch_bytes},
              {"packed_weight_bytes", inspection.memory->packed_weight_bytes},
              {"steps", inspection.memory->steps}};
  return {{"path", inspection.facts.path},
          {"bytes", inspection.facts.bytes},
          {"bytes_of_file", bytes_json(inspection.bytes_of_file)},
          {"metadata", metadata_json(inspection.metadata)},
          {"functions", functions_json(inspection.functions)},
          {"ir_version", inspection.ir_version},
          {"opsets", inspection.opsets},
          {"inputs", named_json(inspection.inputs)},
          {"outputs", named_json(inspection.outputs)},
          {"node_count", inspection.facts.nodes},
          {"nested_node_count", inspection.facts.nested_nodes},
          {"operators", std::move(operators)},
          {"parameters", inspection.parameters},
          {"parameter_bytes", inspection.parameter_bytes},
          {"batch_norms", folds_json(inspection.report.batch_norms)},
          {"affines", folds_json(inspection.report.affines)},
          {"shapes", inspection.shapes},
          {"guessed", inspection.guessed},
          {"no_shapes", text_of(inspection.no_shapes)},
          {"flops", optional_json(inspection.flops)},
          {"traffic_bytes", optional_json(inspection.bytes)},
          {"memory", std::move(memory)},
          {"no_memory", text_of(inspection.no_memory)},
          {"nodes", std::move(nodes)}};
}

std::string opsets_text(const ir::OpsetImports& opsets) {
  std::string text;
  for (const auto& [domain, version] : opsets)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", domain.empty() ? "ai.onnx" : domain, version);
  return text;
}

/// "image float32[1, 1, 8, 8] (guessed: --dim batch=1)".
std::string shapes_text(const Inspection& inspection) {
  return printable(inspection.shapes + (inspection.guessed.empty() ? "" : " (guessed: " + inspection.guessed + ")"));
}

std::string operators_text(const CommandLine& line, const Inspection& inspection) {
  Table table({Align::kRight, Align::kLeft, Align::kLeft});
  for (const OperatorCount& one : inspection.operators)
    table.add({std::to_string(one.count), one.type, one.unsupported.empty() ? "" : "unsupported: " + one.unsupported});
  return table.text(2, line.width());
}

void print_costs(const CommandLine& line, const Inspection& inspection) {
  if (inspection.shapes.empty()) {
    line.print("no shapes to count operations for: {}\n", printable(text_of(inspection.no_shapes)));
    return;
  }
  line.print("for {}: {}FLOP, {} of operands and results\n", shapes_text(inspection),
             inspection.flops ? count_text(static_cast<double>(*inspection.flops)) + " " : "? ",
             optional_text(inspection.bytes, bytes_text));
  if (!line.verbose()) return;
  Table table({Align::kLeft, Align::kLeft, Align::kRight, Align::kRight, Align::kLeft},
              {"operator", "node", "FLOP", "bytes", "result"});
  for (const InspectedNode& node : inspection.nodes)
    table.add({node.type, node.name, optional_text(node.cost.flops, count_text),
               optional_text(node.cost.bytes, bytes_text), node.result});
  line.print("{}", table.text());
}

std::string memory_text(const Inspection& inspection) {
  if (!inspection.memory) return "?";
  return fmt::format("{} + {}", bytes_text(static_cast<double>(inspection.memory->arena_bytes)),
                     bytes_text(static_cast<double>(inspection.memory->scratch_bytes)));
}

}  // namespace

Json inspections_json(const std::vector<Inspection>& inspections) {
  Json models = Json::array();
  for (const Inspection& inspection : inspections) models.push_back(inspection_json(inspection));
  return {{"models", std::move(models)}};
}

void print_inspection(const CommandLine& line, const Inspection& inspection) {
  const ModelFacts& facts = inspection.facts;
  line.print("{}: {}, {}, IR version {}, operator sets: {}\n", printable(facts.path),
             bytes_text(static_cast<double>(facts.bytes)), nodes_text(facts), inspection.ir_version,
             printable(opsets_text(inspection.opsets)));
  print_metadata(line, inspection.metadata);
  for (const auto& [name, type] : inspection.inputs) line.print("input {} {}\n", printable(name), printable(type));
  for (const auto& [name, type] : inspection.outputs) line.print("output {} {}\n", printable(name), printable(type));
  line.print("{} parameters in {}\n", count_text(static_cast<double>(inspection.parameters)),
             bytes_text(static_cast<double>(inspection.parameter_bytes)));
  line.print("bytes: {}\n", bytes_of_file_text(inspection.bytes_of_file));
  line.print("operators:\n{}", operators_text(line, inspection));
  for (const auto& [name, nodes] : inspection.functions)
    line.print("function {}: {}\n", printable(name), plural(nodes, "node"));
  line.print("what onnx-optimize would do:\n{}", normalizations_text(line, inspection.report));
  print_costs(line, inspection);
  if (inspection.memory)
    line.print("to run it optimized: {}, {} for results between them and {} to work in, beside the weights\n",
               plural(inspection.memory->steps, "kernel call"),
               bytes_text(static_cast<double>(inspection.memory->arena_bytes)),
               bytes_text(static_cast<double>(inspection.memory->scratch_bytes)));
  else
    line.print("{}: {}\n", paint(Colour::kYellow, "can't be run"), printable(text_of(inspection.no_memory)));
}

void print_side_by_side(const CommandLine& line, const std::vector<Inspection>& inspections) {
  std::vector<Align> columns(inspections.size() + 1, Align::kRight);
  columns[0] = Align::kLeft;
  Table table(columns);
  const auto row = [&](const std::string& heading, const std::function<std::string(const Inspection&)>& cell) {
    std::vector<std::string> cells{heading};
    for (const Inspection& inspection : inspections) cells.push_back(cell(inspection));
    table.add(std::move(cells));
  };
  row("", [](const Inspection& i) { return i.facts.path; });
  row("size", [](const Inspection& i) { return bytes_text(static_cast<double>(i.facts.bytes)); });
  row("opset", [](const Inspection& i) { return std::to_string(i.facts.opset); });
  row("parameters", [](const Inspection& i) { return count_text(static_cast<double>(i.parameters)); });
  row("FLOP", [](const Inspection& i) { return optional_text(i.flops, count_text); });
  row("operands and results", [](const Inspection& i) { return optional_text(i.bytes, bytes_text); });
  row("kernel calls", [](const Inspection& i) { return i.memory ? std::to_string(i.memory->steps) : "?"; });
  row("memory to run", memory_text);
  row("nodes", [](const Inspection& i) { return std::to_string(i.facts.nodes); });
  row("of them in nested graphs", [](const Inspection& i) { return std::to_string(i.facts.nested_nodes); });
  std::vector<std::string> types;
  for (const Inspection& inspection : inspections)
    for (const OperatorCount& one : inspection.operators)
      if (std::ranges::find(types, one.type) == types.end()) types.push_back(one.type);
  for (const std::string& type : types)
    row("  " + type, [&](const Inspection& i) {
      const auto found = std::ranges::find(i.operators, type, &OperatorCount::type);
      if (found == i.operators.end()) return std::string();
      return std::to_string(found->count) + (found->unsupported.empty() ? "" : " unsupported");
    });
  row("foldable BatchNormalizations", [](const Inspection& i) {
    return fmt::format("{} of {}", std::ranges::count_if(i.report.batch_norms, &Fold::folded),
                       i.report.batch_norms.size());
  });
  line.print("{}", table.text(0, line.width()));
  for (const Inspection& inspection : inspections)
    line.print("{}: {}\n", printable(inspection.facts.path),
               printable(inspection.shapes.empty() ? "no shapes: " + text_of(inspection.no_shapes)
                                                   : "for " + shapes_text(inspection)));
}

}  // namespace pli::tools
