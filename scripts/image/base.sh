#!/bin/bash
# The base of every image, made of the Debian trees: `tree` is a root without package manager, documentation and foreign
# drivers, `pifw` the boot files of the Pi, `initrd`, `Image.gz` and `dtb` what a slot carries. Needs BUILDER, ROOTFS, KERNEL.
# Prints its folder in the cache.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
COMMON=$REPO/board/common

kernel_modules() { # kernel_modules TREE VERSION: the classes of drivers that such a board can meet
  local m=$1/usr/lib/modules/$2
  mkdir -p "$1/usr/lib/modules"; cp -a "$KERNEL/root/usr/lib/modules/$2" "$1/usr/lib/modules/"
  (
    cd "$m/kernel"
    rm -rf sound drivers/{gpu,media,staging,infiniband,iio,isdn,scsi/[!s]*,ata,nvme,nvdimm,hwtracing,fpga,comedi,target,mtd,vfio,accel,edac,soundwire,xen,vdpa,vhost,hv,greybus,ufs,message,parport,accessibility,block/drbd,md} \
      fs/{xfs,btrfs,ocfs2,gfs2,ceph,cifs,smb,afs,jfs,reiserfs,nilfs2,f2fs,ubifs,jffs2,hfs,hfsplus,ntfs3,udf,minix,qnx4,qnx6,9p,orangefs,dlm,coda,nfsd,nfs,lockd,ufs,adfs,affs,befs,bfs,efs,hpfs,sysv,romfs,zonefs,bcachefs,erofs} \
      net/{tipc,sctp,rds,can,bluetooth,nfc,ieee802154,mac802154,6lowpan,batman-adv,openvswitch,sunrpc,9p,ceph,smc,ife,mptcp,atm,appletalk,dccp,l2tp,rxrpc,lapb,x25} \
      drivers/{bluetooth,nfc,net/{fddi,can,dsa,fjes,hippi,arcnet,ieee802154,wwan/t7xx,team,bonding,vxlan,veth.ko*}}
    find drivers/net/ethernet -mindepth 1 -maxdepth 1 ! -name broadcom ! -name cadence ! -name realtek -exec rm -rf {} +
    # brcmfmac is the Pi's own; the simulated radios of the lab come with the lab.
    find drivers/net/wireless -mindepth 1 -maxdepth 1 ! -name broadcom -exec rm -rf {} +
    rm -rf drivers/net/wireless/broadcom/{b43,b43legacy} drivers/net/wireless/broadcom/brcm80211/brcmsmac
  )
  depmod -b "$1/usr" "$2"
}

wifi_firmware() { # only what the boards' own radios load
  (
    cd "$1/usr/lib/firmware"
    find brcm -mindepth 1 ! -name '*raspberrypi*' ! -name 'brcmfmac43430-sdio.*' ! -name 'brcmfmac43436*' ! -name 'brcmfmac43455-sdio.*' ! -name 'brcmfmac43456*' -delete
    find brcm -regextype posix-extended -regex '.*(beagle|pine64|sinovoip|starfive|friendly|AP6212|Hampoo|MUR1DX|acepc|MINIX).*' -delete
    find cypress -type f ! -name 'cyfmac4343*' ! -name 'cyfmac43455*' -delete
    # Links whose blob is gone say nothing but errors.
    find . -xtype l -delete
  )
}

strip_debian() { # what a system that is replaced as a whole never uses
  (
    cd "$1"
    rm -rf var/lib/dpkg var/lib/apt var/cache/* var/log/* usr/share/{doc,man,locale,info,lintian,debconf,perl5,bug,common-licenses,menu,pixmaps,keyrings,polkit-1,dbus-1,initramfs-tools,zsh,fish,bash-completion,vim,gdb} \
      usr/lib/{apt,dpkg,aarch64-linux-gnu/{perl-base,audit,krb5,gconv},systemd/boot,udev/hwdb.d,udev/hwdb.bin,raspi-firmware,kernel} usr/share/perl* usr/src boot/* home/* media mnt srv opt \
      usr/lib/systemd/systemd-{networkd,networkd-wait-online,network-generator,logind,hostnamed,localed,timedated,homed,userdbd,userwork,machined,importd,bsod,pcrlock,pcrextend,storagetm,socket-proxyd,sulogin-shell} usr/bin/{networkctl,hostnamectl,timedatectl,systemd-sysext,systemd-confext,systemd-inhibit,systemd-stdio-bridge} \
      etc/{apt,dpkg,debconf.conf,cron*,logrotate.d,kernel,initramfs,initramfs-tools,default/raspi*,hostname,resolv.conf,init.d,rc?.d,update-motd.d,motd,issue,issue.net,skel,xattr.conf,xdg,X11,pam.d,wpa_supplicant,nftables.conf,machine-id,ssl/misc} \
      usr/bin/{perl*,dpkg*,debconf*,apt*,deb-systemd*,update-alternatives,c_rehash,openssl,systemd-hwdb,localectl,loginctl,busctl,gpgv,localedef,iconv} \
      usr/sbin/{dpkg*,apt*,agetty,sulogin,locale-gen,fdisk,cfdisk,debugfs,e4*,e2freefrag,e2scrub*,wpa_action,update-ca-certificates,iconvconfig}
    find usr/lib/aarch64-linux-gnu \( -name 'libicu*' -o -name 'libapt*' -o -name 'libperl*' \) -delete
    # Package scripts' empty shells of state; /var is made anew at each boot.
    rm -rf var tmp; mkdir var tmp mnt
  )
}

build() {
  local o=$1 v; v=$(cat "$KERNEL/version")
  say "base: drivers, firmware, clean-up"
  cp -a "$ROOTFS/tree" "$o/tree"
  cp -a "$o/tree/usr/lib/raspi-firmware" "$o/pifw"
  wifi_firmware "$o/tree"; strip_debian "$o/tree"; kernel_modules "$o/tree" "$v"
  say "base: kernel and initramfs"
  gzip -9n < "$KERNEL/root/boot/vmlinuz-$v" > "$o/Image.gz"
  mkdir -p "$o/dtb/broadcom"
  cp "$KERNEL/root/usr/lib/linux-image-$v/broadcom"/bcm{2837-rpi-3-{a-plus,b,b-plus},2837-rpi-zero-2-w,2711-rpi-{4-b,400,cm4-io}}.dtb "$o/dtb/broadcom/"
  initramfs "$o/initrd" "$v"
}

initramfs() { # initramfs OUT VERSION
  local w m f src=$KERNEL/root/usr/lib/modules/$2; w=$(mktemp -d); m=$w/lib/modules/$2
  mkdir -p "$w/bin" "$w/sbin" "$m"
  install -m755 "$KERNEL/root/usr/bin/busybox" "$w/bin/busybox"; install -m755 "$COMMON/initramfs-init" "$w/init"
  ln -s ../bin/busybox "$w/sbin/modprobe"
  cp "$src"/modules.{builtin,builtin.modinfo,order} "$m/"
  # A driver that is built in prints "builtin"; one that this kernel does not know is an error.
  grep -v '^#' "$COMMON/initramfs.modules" | while read -r name; do
    modprobe -d "$KERNEL/root/usr" -S "$2" --show-depends "$name" > "$w/.list" || die "initramfs: no driver $name in $2"
    awk '/^insmod/ { print $2 }' "$w/.list"
  done | sort -u | while read -r f; do
    mkdir -p "$m/$(dirname "${f#*/modules/"$2"/}")"
    case $f in
      *.xz) xz -dc "$f" > "$m/${f#*/modules/"$2"/}.tmp"; mv "$m/${f#*/modules/"$2"/}.tmp" "$m/$(f=${f#*/modules/"$2"/}; echo "${f%.xz}")" ;;
      *) cp "$f" "$m/${f#*/modules/"$2"/}" ;;
    esac
  done
  rm -f "$w/.list"; depmod -b "$w" "$2"
  find "$w" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  (cd "$w" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) | zstd -q -19 -T2 -f -o "$1"
  rm -rf "$w"
}
cached base "$(key "$0" "$(basename "$ROOTFS")" "$(basename "$KERNEL")" "$COMMON/initramfs-init" "$COMMON/initramfs.modules")" build
