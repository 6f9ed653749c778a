#include "tools/support/reports/operator_table.h"

#include "tools/support/console/json.h"

#include "runtime/ops/operator.h"

#include <bit>
#include <map>

namespace pli::tools {

namespace {

constexpr size_t kWidth = 96;

std::vector<DataType> listed(ops::DataTypes types) {
  std::vector<DataType> list;
  for (uint32_t bit = 0; bit < 32; ++bit)
    if ((types >> bit) & 1u) list.push_back(static_cast<DataType>(bit));
  return list;
}

/// "float32, float64, integers": the eight integer types, or the four signed or unsigned ones, in one word.
std::string types_text(ops::DataTypes types) {
  constexpr ops::DataTypes kUnsigned =
      ops::types({DataType::kUint8, DataType::kUint16, DataType::kUint32, DataType::kUint64});
  constexpr std::pair<std::string_view, ops::DataTypes> kGroups[] = {
      {"integers", ops::kIntegers}, {"unsigned integers", kUnsigned}, {"signed integers", ops::kIntegers & ~kUnsigned}};
  std::string words;
  for (const auto& [word, group] : kGroups) {
    if ((types & group) != group) continue;
    types &= ~group;
    words += fmt::format("{}{}", words.empty() ? "" : ", ", word);
  }
  std::string text;
  for (const DataType dtype : listed(types)) text += fmt::format("{}{}", text.empty() ? "" : ", ", to_string(dtype));
  return text.empty() ? words : words.empty() ? text : text + ", " + words;
}

struct Claim {
  std::string_view type;
  int64_t since, until;
  ops::DataTypes types;
};

/// The registry's lines, those of one operator and the same types that follow each other joined.
std::vector<Claim> claims() {
  std::vector<Claim> list;
  for (const ops::Operator* op : ops::operators()) {
    const ops::DataTypes types = op->accepted_types();
    if (!list.empty() && list.back().type == op->type && list.back().types == types &&
        list.back().until + 1 == op->since)
      list.back().until = op->until;
    else
      list.push_back({op->type, op->since, op->until, types});
  }
  return list;
}

/// "Conv", "Gelu 20", "Upsample 1-9": the operator sets, but for 1 and the newest.
std::string claim_text(const Claim& claim) {
  if (claim.until == ops::kNewestOpset)
    return claim.since == 1 ? std::string(claim.type) : fmt::format("{} {}", claim.type, claim.since);
  return fmt::format("{} {}-{}", claim.type, claim.since, claim.until);
}

/// The words, with commas, in lines that start with two spaces.
std::string wrapped(const std::vector<std::string>& words) {
  std::string text, line = " ";
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string word = words[i] + (i + 1 < words.size() ? "," : "");
    if (line.size() + 1 + word.size() > kWidth) {
      text += line + "\n";
      line = " ";
    }
    line += " " + word;
  }
  return text + line + "\n";
}

}  // namespace

std::string operator_table() {
  std::map<ops::DataTypes, std::vector<std::string>> groups;
  for (const Claim& claim : claims()) groups[claim.types].push_back(claim_text(claim));
  std::vector<ops::DataTypes> order;
  for (const auto& [types, words] : groups) order.push_back(types);
  std::ranges::stable_sort(order, {}, [](ops::DataTypes types) { return std::popcount(types); });
  std::string text = fmt::format(
      "ONNX's operators by the element types of their first input. A number is the first operator\n"
      "set, two are the first and the last; without one it is 1 to {}, the newest.\n",
      ops::kNewestOpset);
  for (const ops::DataTypes types : order) text += types_text(types) + ":\n" + wrapped(groups[types]);
  return text;
}

Json operators_json() {
  Json operators = Json::array();
  for (const Claim& claim : claims()) {
    Json types = Json::array();
    for (const DataType dtype : listed(claim.types)) types.push_back(to_string(dtype));
    operators.push_back(
        {{"type", claim.type}, {"since", claim.since}, {"until", claim.until}, {"types", std::move(types)}});
  }
  return {{"opset", ops::kNewestOpset}, {"operators", std::move(operators)}};
}

}  // namespace pli::tools
