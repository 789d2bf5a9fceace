#pragma once
#include <filesystem>
#include <string>

#include "tests/jobs/run_program.h"

namespace lockstep {

/// CIFAR-10's files in `folder` of the room, with `records` pictures in each of the six: five to train on, one to
/// validate with. Classes are named a to j.
inline void write_cifar(const ProgramRoom& room, const std::string& folder, int records) {
  std::filesystem::create_directories(room.directory() / folder);
  int number = 0;
  for (const char* name : {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4",
                           "data_batch_5", "test_batch"}) {
    std::string bytes;
    for (int i = 0; i < records; ++i, ++number) {
      bytes += static_cast<char>(number % 10);
      for (int pixel = 0; pixel < 3 * 32 * 32; ++pixel)
        bytes += static_cast<char>(pixel * (number % 10 + 1) + number);
    }
    room.write(folder + "/" + name + ".bin", bytes);
  }
  room.write(folder + "/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
}

}  // namespace lockstep
