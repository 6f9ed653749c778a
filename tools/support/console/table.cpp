#include "tools/support/console/table.h"

#include "tools/support/console/text.h"

#include <algorithm>

namespace pli::tools {

namespace {

constexpr size_t kGap = 2;

/// Makes the widest columns narrower until all of them take no more than `available` together.
void narrow(std::vector<size_t>& widths, size_t available) {
  const auto total = [&](size_t most) {
    size_t sum = 0;
    for (const size_t width : widths) sum += std::min(width, most);
    return sum;
  };
  size_t most = std::ranges::max(widths);
  while (most > 1 && total(most) > available) --most;
  for (size_t& width : widths) width = std::min(width, most);
}

}  // namespace

Table::Table(std::vector<Align> columns, std::vector<std::string> heading)
    : columns_(std::move(columns)), heading_(std::move(heading)) {}

void Table::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text(int indent, size_t width) const {
  std::vector<size_t> widths(columns_.size());
  const auto measure = [&](const std::vector<std::string>& cells) {
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], width_of(cells[i]));
  };
  measure(heading_);
  for (const auto& row : rows_) measure(row);
  const size_t gaps = static_cast<size_t>(indent) + kGap * (columns_.size() - 1);
  if (width != kAnyWidth) narrow(widths, width > gaps ? width - gaps : 0);

  std::string result;
  if (!heading_.empty()) result += line(heading_, widths, indent);
  for (const auto& row : rows_) result += line(row, widths, indent);
  return result;
}

std::string Table::line(const std::vector<std::string>& cells, const std::vector<size_t>& widths, int indent) const {
  std::string result(static_cast<size_t>(indent), ' ');
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string cell = shortened(cells[i], widths[i]);
    const std::string padding(widths[i] - width_of(cell), ' ');
    if (i > 0) result.append(kGap, ' ');
    result += columns_[i] == Align::kRight ? padding + cell : cell + padding;
  }
  result.erase(result.find_last_not_of(' ') + 1);
  return result + '\n';
}

}  // namespace pli::tools
