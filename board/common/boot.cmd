# U-Boot script on the boot partition: chooses slot A or B. One file for Raspberry Pi 3/4/5/Zero 2 W and QEMU virt.
# Boot state: raw GPT partition "oobd-state" with two CRC-checked copies of a U-Boot environment, 16 KiB each, 64 KiB
# apart (docs/image.md). Linux reads and writes copy 1 through /etc/fw_env.config.
echo "oobd: boot.scr on ${devtype} ${devnum}"
setenv st_size 0x4000
setenv st_vars "BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT MACHINE_ID"
# U-Boot's own Pi load map leaves 38 MiB between kernel and initrd: too little for a distribution kernel.
if test "${vendor}" = "raspberrypi"; then
  setenv kernel_addr_r 0x00200000; setenv kernel_comp_addr_r 0x05000000; setenv scriptaddr 0x09000000
  setenv fdt_addr_r 0x09100000; setenv ramdisk_addr_r 0x0a000000
else
  setenv kernel_comp_addr_r 0x50000000; setenv ramdisk_addr_r 0x54000000
fi
setenv kernel_comp_size 0x04000000
part start ${devtype} ${devnum} oobd-state st_start
${devtype} dev ${devnum}
setexpr st_start2 ${st_start} + 0x80
setenv st_ok
${devtype} read ${ramdisk_addr_r} ${st_start} 0x20
if env import -c ${ramdisk_addr_r} ${st_size} ${st_vars}; then setenv st_ok 1; fi
if test -z "${st_ok}"; then
  ${devtype} read ${ramdisk_addr_r} ${st_start2} 0x20
  if env import -c ${ramdisk_addr_r} ${st_size} ${st_vars}; then setenv st_ok 2; fi
fi
echo "oobd: state copy ${st_ok} order ${BOOT_ORDER} A=${BOOT_A_LEFT} B=${BOOT_B_LEFT}"
test -n "${BOOT_ORDER}" || setenv BOOT_ORDER "A B"
test -n "${BOOT_A_LEFT}" || setenv BOOT_A_LEFT 3
test -n "${BOOT_B_LEFT}" || setenv BOOT_B_LEFT 3
setenv store 'env export -c -s ${st_size} ${ramdisk_addr_r} ${st_vars}; ${devtype} write ${ramdisk_addr_r} ${st_start2} 0x20; ${devtype} write ${ramdisk_addr_r} ${st_start} 0x20'
setenv slot
for s in "${BOOT_ORDER}"; do
  if test -z "${slot}" -a "${s}" = "A" -a ${BOOT_A_LEFT} -gt 0; then
    setexpr BOOT_A_LEFT ${BOOT_A_LEFT} - 1; setenv slot A; setenv kpart 2; setenv rlabel oobd-root-a
  fi
  if test -z "${slot}" -a "${s}" = "B" -a ${BOOT_B_LEFT} -gt 0; then
    setexpr BOOT_B_LEFT ${BOOT_B_LEFT} - 1; setenv slot B; setenv kpart 3; setenv rlabel oobd-root-b
  fi
done
if test -z "${slot}"; then
  echo "oobd: no bootable slot, resetting counters"; setenv BOOT_A_LEFT 3; setenv BOOT_B_LEFT 3; run store; reset
fi
run store
echo "oobd: slot ${slot}, left A=${BOOT_A_LEFT} B=${BOOT_B_LEFT}"
# The slot brings its own kernel command line.
if load ${devtype} ${devnum}:${kpart} ${scriptaddr} cmdline.env; then env import -t ${scriptaddr} ${filesize} cmdline; fi
setenv bootargs "root=PARTLABEL=${rlabel} ro rauc.slot=${slot} ${cmdline}"
if test -n "${MACHINE_ID}"; then setenv bootargs "${bootargs} systemd.machine_id=${MACHINE_ID}"; fi
# begin tests: whoever edits the boot partition can add kernel arguments; a release build cuts this paragraph out
if load ${devtype} ${devnum}:1 ${scriptaddr} extra.env; then env import -t ${scriptaddr} ${filesize} extraargs fdt_keep; setenv bootargs "${bootargs} ${extraargs}"; fi
# end tests
# Device tree: the slot's own if this board has one, else what the firmware or QEMU handed over.
setenv fdt_use ${fdt_addr}; test -n "${fdt_use}" || setenv fdt_use ${fdtcontroladdr}
if test -n "${fdtfile}" -a -z "${fdt_keep}"; then if load ${devtype} ${devnum}:${kpart} ${fdt_addr_r} dtb/${fdtfile}; then setenv fdt_use ${fdt_addr_r}; fi; fi
if load ${devtype} ${devnum}:${kpart} ${kernel_addr_r} Image.gz; then
  load ${devtype} ${devnum}:${kpart} ${ramdisk_addr_r} initrd
  booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdt_use}
fi
echo "oobd: slot ${slot} failed to start"; sleep 3; reset
