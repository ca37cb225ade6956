/*
 * What tests of kernels know of the emulator, on a device: included before them there.
 * Launches are waited for, and memory that they take with `new` is the device's to read
 * and write (tests/support/cuda_device.cpp).
 */
#ifndef SUPPORT_CUDA_DEVICE_H
#define SUPPORT_CUDA_DEVICE_H

extern "C" {
#include "kernels/half.h"
}

static bool emulate_backwards; /* blocks run as they like */

#endif
