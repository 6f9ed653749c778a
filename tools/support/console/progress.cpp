#include "tools/support/console/progress.h"

#include "tools/support/console/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <unistd.h>

namespace pli::tools {

namespace {

constexpr std::string_view kEraseLine = "\r\x1b[K";

/// A terminal that has gone is no reason to stop.
void write(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace

Progress::Progress(bool wanted) : active_(wanted && ::isatty(STDERR_FILENO) == 1) {}

void Progress::show(std::string_view what) {
  if (!active_) return;
  write(fmt::format("{}{}...", kEraseLine, printable(what)));
  shown_ = true;
}

void Progress::show(std::string_view what, double done) {
  const auto now = std::chrono::steady_clock::now();
  if (done <= 0) start_ = now;
  show(
      fmt::format("{} {}", what, progress_text(done, std::chrono::duration<double, std::milli>(now - start_).count())));
}

std::string progress_text(double done, double elapsed_ms) {
  done = std::clamp(done, 0.0, 1.0);
  std::string text = fmt::format("{:.0f} %", 100 * done);
  if (done > 0 && (done >= 0.1 || elapsed_ms >= 1000))
    text += fmt::format(", about {} left", time_text(elapsed_ms * (1 - done) / done));
  return text;
}

void Progress::clear() {
  if (shown_) write(kEraseLine);
  shown_ = false;
}

std::string paint(Colour colour, const std::string& text) {
  static const bool coloured = [] {
    const char* no_colour = std::getenv("NO_COLOR");
    return ::isatty(STDOUT_FILENO) == 1 && !(no_colour && *no_colour);
  }();
  return coloured ? fmt::format("\x1b[{}m{}\x1b[0m", static_cast<int>(colour), text) : text;
}

}  // namespace pli::tools
