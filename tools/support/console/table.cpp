#include "tools/support/console/table.h"

#include "tools/support/console/text.h"

#include <algorithm>

namespace pli::tools {

namespace {

/// Characters, as far as a terminal shows one a column: UTF-8 continuation bytes do not count.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

Table::Table(std::vector<Align> columns, std::vector<std::string> heading)
    : columns_(std::move(columns)), heading_(std::move(heading)) {}

void Table::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text(int indent) const {
  std::vector<size_t> widths(columns_.size());
  const auto measure = [&](const std::vector<std::string>& cells) {
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], width_of(cells[i]));
  };
  measure(heading_);
  for (const auto& row : rows_) measure(row);

  std::string result;
  if (!heading_.empty()) result += line(heading_, widths, indent);
  for (const auto& row : rows_) result += line(row, widths, indent);
  return result;
}

std::string Table::line(const std::vector<std::string>& cells, const std::vector<size_t>& widths, int indent) const {
  std::string result(static_cast<size_t>(indent), ' ');
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(widths[i] - width_of(cells[i]), ' ');
    if (i > 0) result += "  ";
    result += columns_[i] == Align::kRight ? padding + cells[i] : cells[i] + padding;
  }
  result.erase(result.find_last_not_of(' ') + 1);
  return result + '\n';
}

}  // namespace pli::tools
