// Plain loops for every kernel; one table.
#include <xmmintrin.h>
#include <cmath>
#include <cstring>
#include "layers/cpu/kernels.h"
namespace lockstep::cpu {
namespace {
template<class F> void panels(const Geometry&g,int images,F f){ if(g.block){ for(int n=0;n<images;n++)for(int c=0;c<g.channels;c+=g.block)f(size_t(n)*g.image_elements()+size_t(c)*g.pixels,size_t(g.block),size_t(g.pixels),c,g.block);} else f(0,size_t(g.channels),size_t(images)*g.pixels,0,g.channels);}
void channel_sums(const Geometry&g,int im,const float*x,double*s){panels(g,im,[&](size_t o,size_t ld,size_t rows,int c0,int w){for(size_t r=0;r<rows;r+=1024){size_t e=std::min(rows,r+1024);for(int c=0;c<w;c++){float p=x[o+r*ld+c];float a=0,b=0;for(size_t i=r;i<e;i++){float t=x[o+i*ld+c]-p;a+=t;b+=t*t;}s[c0+c]+=double(a)+double(e-r)*p;s[g.channels+c0+c]+=double(b)+2.0*p*a+double(e-r)*double(p)*p;}}});}
void norm_apply(const Geometry&g,int im,const float*x,const float*res,float*y,const float*sc,const float*sh,bool relu){panels(g,im,[&](size_t o,size_t ld,size_t rows,int c0,int w){for(size_t r=0;r<rows;r++)for(int c=0;c<w;c++){size_t i=o+r*ld+c;float t=x[i]*sc[c0+c]+sh[c0+c];if(res)t+=res[i];if(relu)t=t<0?0:t;y[i]=t;}});}
void nbs(const Geometry&g,int im,const float*d0,const float*d1,const float*y,const float*x,const float*mean,float*G,double*s){panels(g,im,[&](size_t o,size_t ld,size_t rows,int c0,int w){for(int c=0;c<w;c++){double a=0,b=0;for(size_t r=0;r<rows;r++){size_t i=o+r*ld+c;float t=d0[i];if(d1)t+=d1[i];if(y&&!(y[i]>0))t=0;if(G)G[i]=t;a+=t;b+=double(t)*(x[i]-mean[c0+c]);}s[c0+c]+=a;s[g.channels+c0+c]+=b;}});}
void nbd(const Geometry&g,int im,const float*G,const float*x,float*dx,const float*a,const float*b,const float*k){panels(g,im,[&](size_t o,size_t ld,size_t rows,int c0,int w){for(size_t r=0;r<rows;r++)for(int c=0;c<w;c++){size_t i=o+r*ld+c;dx[i]=a[c0+c]*G[i]+b[c0+c]*x[i]+k[c0+c];}});}
void add(size_t n,const float*a,const float*b,float*d){for(size_t i=0;i<n;i++)d[i]=a[i]+b[i];}
void acc(size_t n,const float*a,float*d){for(size_t i=0;i<n;i++)d[i]+=a[i];}
void scl(size_t n,const float*a,float f,float*d){for(size_t i=0;i<n;i++)d[i]=f*a[i];}
void relu(size_t n,const float*x,float*y){for(size_t i=0;i<n;i++)y[i]=x[i]<0?0:x[i];}
void relub(size_t n,const float*dy,const float*y,float*dx){for(size_t i=0;i<n;i++)dx[i]=y[i]>0?dy[i]:0;}
size_t at(int C,int P,int blk,int n,int c,int p){size_t im=size_t(n)*C*P;return blk?im+size_t(c/blk)*P*blk+size_t(p)*blk+c%blk:im+size_t(p)*C+c;}
template<class F>void pool(const PoolGeometry&g,int im,F f){for(int n=0;n<im;n++)for(int c=0;c<g.channels;c++)for(int h=0;h<g.out_height;h++)for(int w=0;w<g.out_width;w++)f(n,c,h,w,at(g.channels,g.out_height*g.out_width,g.block,n,c,h*g.out_width+w));}
template<class F>void win(const PoolGeometry&g,int n,int c,int h,int w,F f){for(int i=0;i<g.kernel;i++)for(int j=0;j<g.kernel;j++){int y=h*g.stride-g.padding+i,x=w*g.stride-g.padding+j;if(y<0||x<0||y>=g.height||x>=g.width)continue;f(i*g.kernel+j,at(g.channels,g.height*g.width,g.block,n,c,y*g.width+x));}}
void mp(const PoolGeometry&g,int im,const float*x,float*y,uint8_t*ix){pool(g,im,[&](int n,int c,int h,int w,size_t o){float m=-INFINITY;int k=-1;win(g,n,c,h,w,[&](int q,size_t i){if(k<0||x[i]>m||x[i]!=x[i]){m=x[i];k=q;}});y[o]=m;ix[o]=uint8_t(k);});}
void mpb(const PoolGeometry&g,int im,const float*dy,const uint8_t*ix,float*dx){std::memset(dx,0,size_t(im)*g.channels*g.height*g.width*4);pool(g,im,[&](int n,int c,int h,int w,size_t o){win(g,n,c,h,w,[&](int q,size_t i){if(q==ix[o])dx[i]+=dy[o];});});}
void ap(const PoolGeometry&g,int im,const float*x,float*y){pool(g,im,[&](int n,int c,int h,int w,size_t o){float m=0;int k=0;win(g,n,c,h,w,[&](int,size_t i){m+=x[i];k++;});y[o]=m/k;});}
void apb(const PoolGeometry&g,int im,const float*dy,float*dx){std::memset(dx,0,size_t(im)*g.channels*g.height*g.width*4);pool(g,im,[&](int n,int c,int h,int w,size_t o){int k=0;win(g,n,c,h,w,[&](int,size_t){k++;});win(g,n,c,h,w,[&](int,size_t i){dx[i]+=dy[o]/k;});});}
void ga(const Geometry&g,int im,const float*x,float*y){for(int n=0;n<im;n++)for(int c=0;c<g.channels;c++){float a=0;for(int p=0;p<g.pixels;p++)a+=x[at(g.channels,g.pixels,g.block,n,c,p)];y[n*g.channels+c]=a/g.pixels;}}
void gab(const Geometry&g,int im,const float*dy,float*dx){for(int n=0;n<im;n++)for(int c=0;c<g.channels;c++)for(int p=0;p<g.pixels;p++)dx[at(g.channels,g.pixels,g.block,n,c,p)]=dy[n*g.channels+c]/g.pixels;}
void cs(const Geometry&g,int im,const float*x,const float*s,float*y){for(int n=0;n<im;n++)for(int c=0;c<g.channels;c++)for(int p=0;p<g.pixels;p++){size_t i=at(g.channels,g.pixels,g.block,n,c,p);y[i]=x[i]*s[n*g.channels+c];}}
void csg(const Geometry&g,int im,const float*dy,const float*x,float*ds){for(int n=0;n<im;n++)for(int c=0;c<g.channels;c++){float a=0;for(int p=0;p<g.pixels;p++){size_t i=at(g.channels,g.pixels,g.block,n,c,p);a+=dy[i]*x[i];}ds[n*g.channels+c]=a;}}
double sq(size_t n,const float*x){double a=0;for(size_t i=0;i<n;i++)a+=double(x[i])*x[i];return a;}
void sgd(size_t n,const SgdOptions&o,const float*g,float*v,float*w){for(size_t i=0;i<n;i++){float d=g[i]*o.gradient_scale+o.weight_decay*w[i];v[i]=o.momentum*v[i]+d;w[i]-=o.learning_rate*(o.nesterov?d+o.momentum*v[i]:v[i]);}}
const Kernels T{"avx512",channel_sums,norm_apply,nbs,nbd,add,acc,scl,relu,relub,mp,mpb,ap,apb,ga,gab,cs,cs,csg,sq,sgd};
}
const Kernels& kernels(){return T;}
const Kernels& kernels_for(const char*){return T;}
void use_kernels(const Kernels&){}
void flush_denormals(){_mm_setcsr(_mm_getcsr()|0x8040);}
}
