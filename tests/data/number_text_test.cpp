#include "data/number_text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lockstep {
namespace {

TEST(FourDigits, InPlainNotationWherePeopleReadIt) {
  EXPECT_EQ(four_digits(0), "0");
  EXPECT_EQ(four_digits(86.0499999), "86.05");
  EXPECT_EQ(four_digits(-0.312345), "-0.3123");
  EXPECT_EQ(four_digits(0.00123456), "0.001235");
  EXPECT_EQ(four_digits(1234.567), "1235");
  EXPECT_EQ(four_digits(123456.7), "123457");
  EXPECT_EQ(four_digits(1.5e9), "1.500e+09");
  EXPECT_EQ(four_digits(2.5e-7), "2.500e-07");
}

TEST(FourDigits, NamesWhatIsNoNumber) {
  EXPECT_EQ(four_digits(std::nan("")), "nan");
  EXPECT_EQ(four_digits(-std::nan("")), "nan");
  EXPECT_EQ(four_digits(-INFINITY), "-inf");
}

TEST(WithoutNanSign, KeepsNumbers) {
  EXPECT_FALSE(std::signbit(without_nan_sign(-std::nan(""))));
  EXPECT_TRUE(std::isnan(without_nan_sign(-std::nan(""))));
  EXPECT_EQ(without_nan_sign(-1.5), -1.5);
}

}  // namespace
}  // namespace lockstep
